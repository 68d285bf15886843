/** First in, first out within a priority; the highest priority first. Pure. */
export class Queue<T> {
  private entries: T[] = [];
  private head = 0;

  constructor(private readonly priorityOf: (entry: T) => number) {}

  get size(): number {
    return this.entries.length - this.head;
  }

  get first(): T | undefined {
    return this.entries[this.head];
  }

  add(entry: T): void {
    const priority = this.priorityOf(entry);
    let at = this.entries.length;
    while (at > this.head && this.priorityOf(this.entries[at - 1] as T) < priority) at--;
    if (at === this.entries.length) this.entries.push(entry);
    else this.entries.splice(at, 0, entry);
  }

  take(): T | undefined {
    if (this.size === 0) return undefined;
    const entry = this.entries[this.head++];
    // Dropped in large pieces: shifting the array at every take would make a long queue quadratic.
    if (this.head > 1024 && this.head * 2 > this.entries.length) {
      this.entries = this.entries.slice(this.head);
      this.head = 0;
    }
    return entry;
  }

  /** Empties the queue; what was in it, in order. */
  takeAll(): T[] {
    const all = this.entries.slice(this.head);
    this.entries = [];
    this.head = 0;
    return all;
  }
}
