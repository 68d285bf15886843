/** A call that takes several steps: it yields wherever another process may have its turn. */
export type Steps<T> = Generator<number, T, void>;
