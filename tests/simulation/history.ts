/**
 * The history checker: says what is wrong with a history of calls and outcomes, seen from outside the bus. It knows what the
 * contract (`src/bus/contract.ts`) promises and nothing of how it is kept. Pure.
 *
 * A send that has no outcome in the history (its process died, or the call threw) is *unknown*: the message may be on the bus
 * or not, but not half of it and not twice. The sender may try again under the same name and sequence number.
 */
import { type Bounds, Inboxes } from "./inboxes.ts";

interface At {
  /** Number of the step: orders the whole history. */
  readonly at: number;
  readonly process: number;
}

export interface Sending extends At {
  readonly kind: "sending";
  /** Names the message; a retry has the same. */
  readonly message: string;
  readonly from: string;
  readonly to: string;
  readonly chain: string;
  readonly payload: string;
  /** The sequence number that a retry insists on; 0 for none. */
  readonly sequence: number;
}

export interface Sent extends At {
  readonly kind: "sent";
  readonly message: string;
  /** Names the call: a batch has many messages. */
  readonly call: number;
  readonly status: "accepted" | "duplicate" | "full" | "gone" | "gap" | "closed";
  readonly sequence: number;
}

export interface Received extends At {
  readonly kind: "received";
  /** Names the lease. */
  readonly lease: number;
  readonly messages: readonly ReceivedMessage[];
}

export interface ReceivedMessage {
  readonly message: string;
  readonly from: string;
  readonly to: string;
  readonly sequence: number;
  readonly payload: unknown;
  /** 1 for the first hand-over. */
  readonly attempt: number;
}

export interface Seen extends At {
  readonly kind: "seen";
  readonly agents: readonly { readonly id: string; readonly hostPid: number; readonly incarnation: number }[];
}

export type Happening =
  | Sending
  | Sent
  | Received
  | (At & { readonly kind: "leased"; readonly lease: number; readonly id: string; readonly chain: string })
  | (At & { readonly kind: "released"; readonly lease: number })
  /** The `count` oldest of what the lease received last are about to be taken; `acked` says that they have been. */
  | (At & { readonly kind: "acking"; readonly lease: number; readonly count: number })
  | (At & { readonly kind: "acked"; readonly lease: number; readonly count: number })
  /** Somebody asks to host the agent: it may be on the bus from now on. */
  | (At & { readonly kind: "registering"; readonly id: string })
  | (At & { readonly kind: "hosting"; readonly id: string; readonly incarnation: number })
  | (At & { readonly kind: "leaving"; readonly id: string })
  | (At & { readonly kind: "died" })
  /** Somebody begins to list the agents as an onlooker does, and `seen` is the answer. */
  | (At & { readonly kind: "looking" })
  | Seen
  /** Somebody has closed the inboxes: of data messages so many had ever been accepted. */
  | (At & { readonly kind: "closed"; readonly accepted: number })
  /** Every inbox has been read to its end. */
  | (At & { readonly kind: "drained" })
  /** Something that was seen where it happened. */
  | (At & { readonly kind: "wrong"; readonly what: string });

interface Known {
  readonly sending: Sending;
  /** Position among the messages of its sender to its chain. */
  readonly order: number;
  accepted: boolean;
  /** An attempt is under way, or had no outcome. */
  open: boolean;
  /** An earlier attempt had no outcome. */
  unknown: boolean;
  /** All its attempts were refused. */
  refused: boolean;
  sequence: number;
  received: number;
  attempt: number;
  taken: boolean;
}

interface HeldLease {
  readonly id: string;
  readonly chain: string;
  readonly process: number;
  last: readonly ReceivedMessage[];
  over: boolean;
}

interface Host {
  readonly process: number;
  readonly incarnation: number;
  readonly at: number;
}

const pairOf = ({ from, to }: Sending): string => `${from} ${to}`;

const lineOf = ({ call }: Sent, { to, chain }: Sending): string => `${call} ${to} ${chain}`;

/** What is wrong with the history of a bus whose inboxes have these bounds: empty where nothing is. */
export function checkHistory(history: readonly Happening[], bounds: Bounds): string[] {
  const wrong: string[] = [];
  const known = new Map<string, Known>();
  const orders = new Map<string, number>();
  const leases = new Map<number, HeldLease>();
  /** By chain of an inbox: the lease that received from it last. */
  const receiver = new Map<string, number>();
  const hosts = new Map<string, Host>();
  /** Ids that anybody ever asked to host. */
  const named = new Set<string>();
  /** By the process that looks: who hosted what when it began. */
  const looks = new Map<number, ReadonlyMap<string, Host>>();
  const inboxes = new Inboxes(bounds);
  /** By sender and recipient: when a message was last accepted, and as which. */
  const lastAccepted = new Map<string, { readonly at: number; readonly sequence: number }>();
  /** By sender and chain of an inbox: the order of the last message received for the first time. */
  const newest = new Map<string, number>();
  /** Chains of inboxes that refused a message of the call, "call to chain". */
  const refusals = new Set<string>();
  let drained = false;
  /** By the process that did it: when the inboxes were closed. */
  const closed = new Map<number, number>();
  const say = (at: At, what: string): void => void wrong.push(`step ${at.at}, process ${at.process}: ${what}`);

  for (const one of history) {
    switch (one.kind) {
      case "sending": {
        const before = known.get(one.message);
        if (before !== undefined) {
          before.unknown ||= before.open;
          before.open = true;
          before.refused = false;
          break;
        }
        const line = `${one.from} ${one.to} ${one.chain}`;
        const order = (orders.get(line) ?? 0) + 1;
        orders.set(line, order);
        const nothing = { accepted: false, refused: false, sequence: 0, received: 0, attempt: 0, taken: false };
        known.set(one.message, { sending: one, order, open: true, unknown: false, ...nothing });
        break;
      }
      case "sent": {
        const message = known.get(one.message);
        if (message === undefined) {
          say(one, `an outcome for ${one.message}, which nobody sent`);
          break;
        }
        message.open = false;
        if (one.status === "accepted" || one.status === "duplicate") {
          if (one.status === "accepted" && refusals.has(lineOf(one, message.sending)))
            say(one, `${one.message} was accepted behind one of the same call that was refused`);
          if (message.accepted && one.status === "accepted") say(one, `${one.message} was accepted twice`);
          if (one.status === "accepted" && isLate(one, message.sending, closed))
            say(one, `${one.message} was accepted after the inboxes were closed`);
          const before = lastAccepted.get(pairOf(message.sending));
          const since = hosts.get(message.sending.to)?.at ?? Number.POSITIVE_INFINITY;
          if (one.status === "accepted" && before !== undefined && before.at > since && one.sequence <= before.sequence)
            say(one, `${one.message} was numbered ${one.sequence} after ${before.sequence}`);
          message.accepted = true;
          message.sequence = one.sequence;
          const tooMany = inboxes.accepted(one.message, message.sending.to, message.sending.chain);
          if (tooMany !== undefined) say(one, tooMany);
          lastAccepted.set(pairOf(message.sending), { at: one.at, sequence: one.sequence });
        } else {
          // Of an earlier attempt nothing is said, but where the same inbox as then is full: it would know it for a duplicate.
          const same =
            one.status === "full" &&
            (hosts.get(message.sending.to)?.at ?? Number.POSITIVE_INFINITY) < message.sending.at;
          if (!message.accepted && (!message.unknown || same)) message.refused = true;
          refusals.add(lineOf(one, message.sending));
        }
        // An agent that leaves may be forgotten, and so its senders' numbers; as long as it has one host it may not.
        if (one.status === "gap") {
          const since = hosts.get(message.sending.to)?.at ?? Number.POSITIVE_INFINITY;
          if ((lastAccepted.get(pairOf(message.sending))?.at ?? 0) > since)
            say(one, `${one.message} was refused for a gap: an accepted message is forgotten`);
        }
        break;
      }
      case "leased":
        leases.set(one.lease, { id: one.id, chain: one.chain, process: one.process, last: [], over: false });
        break;
      case "released": {
        const lease = leases.get(one.lease);
        if (lease !== undefined) lease.over = true;
        break;
      }
      case "received": {
        const lease = leases.get(one.lease);
        if (lease === undefined) {
          say(one, "messages without a lease");
          break;
        }
        lease.last = one.messages;
        if (one.messages.length > 0) {
          const chain = `${lease.id} ${lease.chain}`;
          const other = receiver.get(chain);
          // A lease on an inbox that has left the bus stays with its holder, but gives nothing any more.
          if (lease.over && other !== one.lease) say(one, `${chain} is read through a lease that has ended`);
          const before = other === undefined ? undefined : leases.get(other);
          if (before !== undefined && other !== one.lease && !before.over) before.over = true;
          receiver.set(chain, one.lease);
        }
        checkReceived(one, lease, known, newest, say);
        for (const { message } of one.messages) {
          const tooMany = inboxes.received(message, lease.id, lease.chain);
          if (tooMany !== undefined) say(one, tooMany);
        }
        break;
      }
      case "acking":
      case "acked": {
        const lease = leases.get(one.lease);
        for (const { message } of lease?.last.slice(0, one.count) ?? []) {
          const taken = known.get(message);
          if (taken !== undefined) taken.taken ||= one.kind === "acked";
          inboxes.taking(message, lease?.id ?? "", lease?.chain ?? "");
        }
        break;
      }
      case "registering":
        named.add(one.id);
        break;
      case "hosting": {
        const host = hosts.get(one.id);
        if (host !== undefined)
          say(
            one,
            `hosts ${one.id} while process ${host.process} does (incarnations ${one.incarnation}, ${host.incarnation})`,
          );
        hosts.set(one.id, { process: one.process, incarnation: one.incarnation, at: one.at });
        named.add(one.id);
        break;
      }
      case "leaving":
        if (hosts.get(one.id)?.process === one.process) hosts.delete(one.id);
        break;
      case "died":
        for (const [id, host] of hosts) if (host.process === one.process) hosts.delete(id);
        for (const lease of leases.values()) if (lease.process === one.process) lease.over = true;
        break;
      case "looking":
        looks.set(one.process, new Map(hosts));
        break;
      case "seen":
        for (const { id } of one.agents) if (!named.has(id)) say(one, `sees ${id}, which nobody registered`);
        for (const [id, host] of looks.get(one.process) ?? [])
          if (hosts.get(id) === host) checkSeen(one, id, host, say);
        break;
      case "closed": {
        const { least, most } = acceptedSoFar(known);
        if (one.accepted < least || one.accepted > most)
          say(one, `counts ${one.accepted} accepted data messages, of ${least} to ${most}`);
        closed.set(one.process, one.at);
        break;
      }
      case "drained":
        drained = true;
        break;
      case "wrong":
        say(one, one.what);
        break;
    }
  }
  if (!drained) wrong.push("the inboxes were not drained");
  for (const [name, { accepted, received, refused }] of known) {
    if (accepted && received === 0) wrong.push(`${name} was accepted and never received`);
    if (refused && !accepted && received > 0) wrong.push(`${name} was refused and received`);
  }
  return wrong;
}

/** Whether a data message was sent when the inboxes had been closed, and not by its sender too: whoever closes may send on. */
function isLate({ process }: Sent, { at, chain }: Sending, closed: ReadonlyMap<number, number>): boolean {
  const own = closed.get(process);
  if (chain !== "data" || (own !== undefined && own < at)) return false;
  return [...closed.values()].some((since) => since < at);
}

/** How many data messages are known to be accepted, and how many may be. */
function acceptedSoFar(known: ReadonlyMap<string, Known>): { readonly least: number; readonly most: number } {
  const data = [...known.values()].filter(({ sending }) => sending.chain === "data");
  const isSure = ({ accepted, received }: Known): boolean => accepted || received > 0;
  return {
    least: data.filter(isSure).length,
    most: data.filter((one) => isSure(one) || one.open || one.unknown || !one.refused).length,
  };
}

/** Of an agent that has had one living host all the while. */
function checkSeen(one: Seen, id: string, host: Host, say: (at: At, what: string) => void): void {
  const seen = one.agents.find((agent) => agent.id === id);
  if (seen === undefined) say(one, `does not see ${id}, which process ${host.process} hosts`);
  else if (seen.hostPid !== host.process || seen.incarnation !== host.incarnation)
    say(
      one,
      `sees ${id} with process ${seen.hostPid}, incarnation ${seen.incarnation}: it is ${host.process}, ${host.incarnation}`,
    );
}

function checkReceived(
  one: Received,
  lease: HeldLease,
  known: ReadonlyMap<string, Known>,
  newest: Map<string, number>,
  say: (at: At, what: string) => void,
): void {
  /** By sender: the order of the last one in this read. */
  const within = new Map<string, number>();
  for (const { message: name, from, to, sequence, payload, attempt } of one.messages) {
    const message = known.get(name);
    if (message === undefined) {
      say(one, `received ${name}, which nobody sent`);
      continue;
    }
    const { sending } = message;
    if (sending.from !== from || sending.to !== to || lease.id !== to || lease.chain !== sending.chain)
      say(one, `${name} from ${from} to ${to} went to ${lease.id} ${lease.chain}`);
    if (payload !== sending.payload) say(one, `${name} is torn: ${JSON.stringify(payload).slice(0, 80)}`);
    if (message.taken) say(one, `${name} came again after it was taken`);
    if (message.accepted && sequence !== message.sequence)
      say(one, `${name} has sequence ${sequence}, accepted as ${message.sequence}`);
    if (message.received > 0 && attempt <= message.attempt)
      say(one, `${name} was handed over again as attempt ${attempt} after ${message.attempt}`);
    if ((within.get(from) ?? 0) >= message.order) say(one, `${name} is out of order or twice in one reading`);
    within.set(from, message.order);
    const line = `${from} ${to} ${lease.chain}`;
    if (message.received === 0) {
      if ((newest.get(line) ?? 0) > message.order)
        say(one, `${name} is out of order: later ones of ${from} came first`);
      newest.set(line, Math.max(newest.get(line) ?? 0, message.order));
    }
    message.received++;
    message.attempt = attempt;
  }
}
