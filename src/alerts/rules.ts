/**
 * When an alert fires and when it clears. Pure.
 *
 * Each alert has a mark, and a clear mark on the good side of it: for what may fill, `limits.alertClearShare` of the mark (80 %
 * fires, 70 % clears). Beyond the mark it fires, once it was there at `fires` looks in a row; below the clear mark it clears, once
 * it was there at `clears` looks. Between the two nothing changes. So a reading that swings about the mark fires once.
 *
 * What is a fact and not a level fires at the first look: a message refused because an inbox or the bus is full, an agent judged
 * unhealthy (that judgement has its own patience), a delivery rate, a time that has passed.
 *
 * Readings name the deepest inboxes alone. One that is not named is at most as deep as the last that is.
 */
import { limits } from "../limits.ts";

export interface AlertThresholds {
  /** Delivered over expected; 0: never. */
  readonly deliveryMin: number;
  /** Undefined: never. */
  readonly coordinationMaxMs?: number | undefined;
  /** Shares of a bound, from 0 to 1; 1: never. */
  readonly inboxMax: number;
  readonly busMax: number;
  readonly fdsMax: number;
  readonly unhealthy: boolean;
}

export interface AlertSettings extends AlertThresholds {
  /** A program and its arguments, or a text for `sh -c`; undefined: none is run. */
  readonly command?: string | readonly string[] | undefined;
  readonly commandTimeoutMs: number;
}

export const alertSettingsDefault: AlertSettings = {
  deliveryMin: 0.95,
  inboxMax: 0.8,
  busMax: 0.85,
  fdsMax: 0.8,
  unhealthy: true,
  commandTimeoutMs: 5000,
};

interface InboxReading {
  readonly id: string;
  /** Messages accepted and not acknowledged. */
  readonly depth: number;
  readonly limit: number;
}

/** What there is to look at; what is left out is not judged at this look. */
export interface AlertReadings {
  readonly elapsedMs: number;
  /** Known when the run is over: until then what is not delivered may be under way. */
  readonly deliveryRate?: number;
  readonly inboxes?: {
    /** The deepest ones, deepest first. */
    readonly deepest: readonly InboxReading[];
    /** Sends refused so far because the recipient's inbox was full. */
    readonly refusals: number;
  };
  readonly bus?: {
    readonly bytes: number;
    readonly limitBytes: number;
    /** Sends refused so far because the bus was full. */
    readonly refusals: number;
  };
  readonly descriptors?: { readonly open: number; readonly limit: number };
  readonly unhealthy?: readonly { readonly id: string; readonly reason: string }[];
}

export type AlertName =
  | "delivery_low"
  | "coordination_long"
  | "inbox_full"
  | "bus_full"
  | "descriptors_high"
  | "agent_unhealthy";

export interface AlertChange {
  readonly alert: AlertName;
  readonly state: "fired" | "cleared";
  /** Whose inbox, which agent; "run", "bus" or "cfn" for the others. */
  readonly subject: string;
  readonly value: number;
  readonly limit: number;
  readonly unit: "ratio" | "ms";
  readonly message: string;
}

interface Held {
  readonly fired: boolean;
  /** Looks in a row that spoke for a change. */
  readonly looks: number;
}

export interface AlertState {
  /** By alert and subject: those that have fired, and those about to. */
  readonly held: ReadonlyMap<string, Held>;
  readonly inboxRefusals: number;
  readonly busRefusals: number;
  /** Subjects for which there was no room in `held`. */
  readonly omitted: number;
}

export const noAlerts: AlertState = { held: new Map(), inboxRefusals: 0, busRefusals: 0, omitted: 0 };

/** One subject at one look. */
interface Signal extends Omit<AlertChange, "state"> {
  readonly is: "beyond" | "between" | "well";
  /** Looks in a row that it takes. */
  readonly fires: number;
  readonly clears: number;
}

const percent = (share: number): string => `${Math.round(share * 1000) / 10} %`;
const keyOf = (alert: AlertName, subject: string): string => `${alert} ${subject}`;

/** What has changed since the last look, and the state to give to the next. */
export function judgeAlerts(
  before: AlertState,
  readings: AlertReadings,
  thresholds: AlertThresholds,
): { readonly state: AlertState; readonly changes: readonly AlertChange[] } {
  const held = new Map(before.held);
  const changes: AlertChange[] = [];
  let { omitted } = before;
  for (const { is, fires, clears, ...signal } of signalsOf(before, readings, thresholds)) {
    const key = keyOf(signal.alert, signal.subject);
    const { fired, looks } = held.get(key) ?? { fired: false, looks: 0 };
    if (is !== (fired ? "well" : "beyond")) {
      if (fired) held.set(key, { fired, looks: 0 });
      else held.delete(key);
    } else if (looks + 1 < (fired ? clears : fires)) held.set(key, { fired, looks: looks + 1 });
    else if (fired) {
      held.delete(key);
      changes.push({ ...signal, state: "cleared" });
    } else if (held.size >= limits.alertSubjects && !held.has(key)) omitted++;
    else {
      held.set(key, { fired: true, looks: 0 });
      changes.push({ ...signal, state: "fired" });
    }
  }
  const inboxRefusals = readings.inboxes?.refusals ?? before.inboxRefusals;
  const busRefusals = readings.bus?.refusals ?? before.busRefusals;
  return { state: { held, inboxRefusals, busRefusals, omitted }, changes };
}

function* signalsOf(before: AlertState, readings: AlertReadings, thresholds: AlertThresholds): Generator<Signal> {
  const { deliveryRate, elapsedMs, inboxes, bus, descriptors, unhealthy } = readings;
  const { deliveryMin, coordinationMaxMs, busMax, fdsMax } = thresholds;
  if (deliveryRate !== undefined) {
    const value = deliveryRate;
    const good = value >= (1 + deliveryMin) / 2;
    const message = `${percent(value)} of the messages expected were delivered, the least is ${percent(deliveryMin)}`;
    const is = value < deliveryMin ? "beyond" : good ? "well" : "between";
    yield { ...once, alert: "delivery_low", subject: "run", value, limit: deliveryMin, unit: "ratio", message, is };
  }
  if (coordinationMaxMs !== undefined) {
    const limit = coordinationMaxMs;
    const message = `the run goes on for ${seconds(elapsedMs)}, the most is ${seconds(limit)}`;
    const is = elapsedMs > limit ? "beyond" : "well";
    yield { ...once, alert: "coordination_long", subject: "run", value: elapsedMs, limit, unit: "ms", message, is };
  }
  if (inboxes !== undefined) yield* inboxSignals(before, inboxes, thresholds.inboxMax);
  if (bus !== undefined) {
    const { bytes, limitBytes, refusals } = bus;
    const what = `${bytes} of ${limitBytes} bytes of the bus are used`;
    yield filling("bus_full", "bus", bytes / limitBytes, busMax, what, refusals > before.busRefusals);
  }
  if (descriptors !== undefined) {
    const { open, limit } = descriptors;
    const what = `${open} of ${limit} descriptors are open`;
    yield filling("descriptors_high", "cfn", open / limit, fdsMax, what, false);
  }
  if (unhealthy !== undefined && thresholds.unhealthy) yield* healthSignals(before, unhealthy);
}

const seconds = (ms: number): string => `${Math.round(ms / 100) / 10} s`;
/** At the first look. */
const once = { fires: 1, clears: 1 } as const;

/** Of something that may fill. `refused`: it was full since the last look, whatever is in it now. */
function filling(
  alert: AlertName,
  subject: string,
  share: number,
  limit: number,
  what: string,
  refused: boolean,
): Signal {
  const value = refused ? 1 : Number.isFinite(share) ? share : 0;
  const is = value > limit ? "beyond" : value < limit * limits.alertClearShare ? "well" : "between";
  const full = refused ? ", and messages were refused" : "";
  const message = `${what}${full}, the mark is ${percent(limit)}`;
  const fires = refused ? 1 : limits.alertFireLooks;
  return { alert, subject, value, limit, unit: "ratio", message, is, fires, clears: limits.alertClearLooks };
}

type Inboxes = NonNullable<AlertReadings["inboxes"]>;

function* inboxSignals(before: AlertState, { deepest, refusals }: Inboxes, limit: number): Generator<Signal> {
  const signalOf = ({ id, depth, limit: most }: InboxReading, refused: boolean, about = ""): Signal =>
    filling(
      "inbox_full",
      id,
      depth / most,
      limit,
      `the inbox of ${id} holds ${about}${depth} of ${most} messages`,
      refused,
    );
  // Which inbox refused is not said: the deepest is the likeliest.
  const refused = refusals > before.inboxRefusals;
  for (const [n, inbox] of deepest.entries()) yield signalOf(inbox, refused && n === 0);
  const { depth, limit: most } = deepest.at(-1) ?? { depth: 0, limit: 1 };
  const named = new Set(deepest.map(({ id }) => id));
  for (const id of heldSubjects(before, "inbox_full")) {
    if (!named.has(id)) yield signalOf({ id, depth, limit: most }, false, "at most ");
  }
}

function* healthSignals(before: AlertState, unhealthy: NonNullable<AlertReadings["unhealthy"]>): Generator<Signal> {
  const fact = { ...once, alert: "agent_unhealthy", limit: 0, unit: "ratio" } as const;
  const named = new Set<string>();
  for (const { id, reason } of unhealthy) {
    named.add(id);
    yield { ...fact, subject: id, value: 1, message: `${id} is unhealthy: ${reason}`, is: "beyond" };
  }
  for (const id of heldSubjects(before, "agent_unhealthy")) {
    if (!named.has(id)) yield { ...fact, subject: id, value: 0, message: `${id} is no longer unhealthy`, is: "well" };
  }
}

const heldSubjects = ({ held }: AlertState, alert: AlertName): string[] =>
  [...held.keys()].filter((key) => key.startsWith(`${alert} `)).map((key) => key.slice(alert.length + 1));
