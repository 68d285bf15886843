/** Collects what a benchmark of several rounds measures and checks. */
import type { Check } from "./result.ts";

export class Recorder {
  readonly #samples = new Map<string, number[]>();
  readonly #checks = new Map<string, Check>();
  /** False in warm-up rounds: they are checked like all others, and not measured. */
  measuring = true;

  note(what: string, value: number): void {
    if (!this.measuring) return;
    const list = this.#samples.get(what);
    if (list === undefined) this.#samples.set(what, [value]);
    else list.push(value);
  }

  /** One check per text, over all rounds: the first round that went wrong stays. */
  check(what: string, seen: string, wanted: string): void {
    if (this.#checks.get(what)?.ok === false) return;
    const ok = seen === wanted;
    this.#checks.set(what, { what, ok, seen: ok ? seen : `${seen}, not ${wanted}` });
  }

  samples(what: string): number[] {
    return this.#samples.get(what) ?? [];
  }

  all(): [string, number[]][] {
    return [...this.#samples];
  }

  checks(): Check[] {
    return [...this.#checks.values()];
  }
}
