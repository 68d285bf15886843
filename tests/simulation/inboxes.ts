/** What surely lies in each inbox, as the history checker comes to know it: never more than the inbox's bound. Pure. */

/** By chain: so many messages an inbox may hold. */
export type Bounds = Readonly<Record<"data" | "control", number>>;

export class Inboxes {
  /** By "id chain". */
  private readonly inside = new Map<string, Set<string>>();
  /** Somebody was about to take them: they may be gone, whether or not that is heard of. */
  private readonly leaving = new Set<string>();

  constructor(private readonly bounds: Bounds) {}

  /** A message was accepted, maybe long ago. Returns what is wrong with that. */
  accepted(message: string, to: string, chain: string): string | undefined {
    if (this.leaving.has(message)) return undefined;
    const line = `${to} ${chain}`;
    const inside = this.inside.get(line) ?? new Set();
    this.inside.set(line, inside.add(message));
    const most = chain === "data" ? this.bounds.data : this.bounds.control;
    return inside.size > most ? `${message} is message ${inside.size} in ${line}, which takes ${most}` : undefined;
  }

  /** A message was read: it is there until its reader says that it takes it. */
  received(message: string, to: string, chain: string): string | undefined {
    this.leaving.delete(message);
    return this.inside.get(`${to} ${chain}`)?.has(message) === true ? undefined : this.accepted(message, to, chain);
  }

  taking(message: string, from: string, chain: string): void {
    this.leaving.add(message);
    this.inside.get(`${from} ${chain}`)?.delete(message);
  }
}
