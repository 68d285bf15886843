/** A set of task positions, one bit each: a million finished tasks are 125 kB. Pure. */
export class SeqSet {
  private bits = new Uint8Array(128);
  private count = 0;

  get size(): number {
    return this.count;
  }

  has(seq: number): boolean {
    return ((this.bits[seq >>> 3] ?? 0) & (1 << (seq & 7))) !== 0;
  }

  add(seq: number): void {
    if (this.has(seq)) return;
    if (seq >>> 3 >= this.bits.length) {
      const larger = new Uint8Array((seq >>> 3) * 2);
      larger.set(this.bits);
      this.bits = larger;
    }
    const at = seq >>> 3;
    this.bits[at] = (this.bits[at] as number) | (1 << (seq & 7));
    this.count++;
  }
}
