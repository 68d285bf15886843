/** The history checker accepts what the contract allows and names each thing that it does not. */
import { expect, test } from "bun:test";
import { checkHistory, type Happening, type ReceivedMessage, type Sent } from "./history.ts";

let at = 0;
const step = (process: number): { at: number; process: number } => ({ at: ++at, process });

const sending = (message: string, changes: { chain?: string; sequence?: number } = {}): Happening => ({
  ...step(1),
  kind: "sending",
  message,
  from: "s",
  to: "a",
  chain: "data",
  payload: `text of ${message}`,
  sequence: 0,
  ...changes,
});
const sent = (message: string, sequence: number, status: Sent["status"] = "accepted", call = at): Happening => ({
  ...step(1),
  kind: "sent",
  message,
  call,
  status,
  sequence,
});
const accepted = (message: string, sequence: number): Happening[] => [sending(message), sent(message, sequence)];
const leased = (lease: number, process = 2): Happening => ({
  ...step(process),
  kind: "leased",
  lease,
  id: "a",
  chain: "data",
});
const got = (message: string, sequence: number, changes: Partial<ReceivedMessage> = {}): ReceivedMessage => ({
  message,
  from: "s",
  to: "a",
  sequence,
  payload: `text of ${message}`,
  attempt: 1,
  ...changes,
});
const received = (lease: number, ...messages: ReceivedMessage[]): Happening => ({
  ...step(2),
  kind: "received",
  lease,
  messages,
});
const acked = (lease: number, count: number): Happening => ({ ...step(2), kind: "acked", lease, count });
const died = (process: number): Happening => ({ ...step(process), kind: "died" });
const hosting = (process: number, incarnation: number): Happening => ({
  ...step(process),
  kind: "hosting",
  id: "a",
  incarnation,
});

const looking = (): Happening => ({ ...step(3), kind: "looking" });
const seen = (...agents: readonly [id: string, hostPid: number, incarnation: number][]): Happening => ({
  ...step(3),
  kind: "seen",
  agents: agents.map(([id, hostPid, incarnation]) => ({ id, hostPid, incarnation })),
});

const bounds = { data: 2, control: 3 };
const verdict = (...history: (Happening | Happening[])[]): string[] =>
  checkHistory([...history.flat(), { ...step(9), kind: "drained" }], bounds);

test("what the contract allows is accepted", () => {
  const both = [...accepted("m1", 1), ...accepted("m2", 2)];
  expect(verdict(both, leased(1), received(1, got("m1", 1), got("m2", 2)), acked(1, 2))).toEqual([]);
  // Handed over twice, since the first reader died before it said so.
  const again = received(2, got("m1", 1, { attempt: 2 }));
  expect(verdict(accepted("m1", 1), leased(1), received(1, got("m1", 1)), died(2), leased(2, 3), again)).toEqual([]);
  // Refused, and never received.
  expect(verdict(sending("m1"), sent("m1", 0, "full"))).toEqual([]);
  // Unknown: either way.
  expect(verdict(sending("m1"), died(1))).toEqual([]);
  expect(verdict(sending("m1"), died(1), leased(1), received(1, got("m1", 1)))).toEqual([]);
  // Unknown, then answered as a duplicate.
  const retried = [sending("m1"), died(1), sending("m1", { sequence: 1 }), sent("m1", 1, "duplicate")];
  expect(verdict(retried, leased(1), received(1, got("m1", 1)))).toEqual([]);
  // A third message where one of two was being taken.
  const third = [...accepted("m3", 3), acked(1, 1), received(1, got("m2", 2, { attempt: 2 }), got("m3", 3))];
  const acking: Happening = { ...step(2), kind: "acking", lease: 1, count: 1 };
  expect(verdict(both, leased(1), received(1, got("m1", 1), got("m2", 2)), acking, third)).toEqual([]);
  // Who came or went while somebody looked on may be seen or not; who is dead may be seen still.
  expect(verdict(hosting(1, 1), looking(), seen(["a", 1, 1]))).toEqual([]);
  expect(verdict(hosting(1, 1), looking(), died(1), seen())).toEqual([]);
  expect(verdict(looking(), hosting(1, 1), seen())).toEqual([]);
  expect(verdict(hosting(1, 1), died(1), looking(), seen(["a", 1, 1]))).toEqual([]);
  expect(verdict({ ...step(1), kind: "registering", id: "a" }, looking(), seen(["a", 1, 1]))).toEqual([]);
  // A new host after the old one has died.
  expect(verdict(hosting(1, 1), died(1), hosting(2, 2))).toEqual([]);
});

/** What is wrong with it, and a history that has just that. */
const faults: Readonly<Record<string, () => string[]>> = {
  "was accepted and never received": () => verdict(accepted("m1", 1)),
  "came again after it was taken": () =>
    verdict(
      accepted("m1", 1),
      leased(1),
      received(1, got("m1", 1)),
      acked(1, 1),
      received(1, got("m1", 1, { attempt: 2 })),
    ),
  "twice in one reading": () =>
    verdict(accepted("m1", 1), leased(1), received(1, got("m1", 1), got("m1", 1, { attempt: 2 }))),
  "later ones of s came first": () =>
    verdict(accepted("m1", 1), accepted("m2", 2), leased(1), received(1, got("m2", 2)), received(1, got("m1", 1))),
  "is torn": () => verdict(accepted("m1", 1), leased(1), received(1, got("m1", 1, { payload: "text of" }))),
  "which nobody sent": () => verdict(leased(1), received(1, got("m7", 1))),
  "was refused and received": () => verdict(sending("m1"), sent("m1", 0, "full"), leased(1), received(1, got("m1", 1))),
  "behind one of the same call that was refused": () =>
    verdict(
      [sending("m1"), sending("m2"), sent("m1", 0, "full", 5), sent("m2", 1, "accepted", 5)],
      leased(1),
      received(1, got("m2", 1)),
    ),
  "has sequence 4, accepted as 1": () => verdict(accepted("m1", 1), leased(1), received(1, got("m1", 4))),
  "was accepted twice": () => verdict(accepted("m1", 1), accepted("m1", 2), leased(1), received(1, got("m1", 2))),
  "as attempt 1 after 1": () =>
    verdict(accepted("m1", 1), leased(1), received(1, got("m1", 1)), received(1, got("m1", 1))),
  "went to a data": () =>
    verdict(sending("m1", { chain: "control" }), sent("m1", 1), leased(1), received(1, got("m1", 1))),
  "an accepted message is forgotten": () =>
    verdict(
      hosting(2, 1),
      accepted("m1", 1),
      [sending("m2"), sending("m2", { sequence: 2 }), sent("m2", 0, "gap")],
      leased(1),
      received(1, got("m1", 1)),
    ),
  "was numbered 1 after 3": () =>
    verdict(hosting(2, 1), accepted("m1", 3), accepted("m2", 1), leased(1), received(1, got("m1", 3), got("m2", 1))),
  "through a lease that has ended": () =>
    verdict(
      accepted("m1", 1),
      leased(1),
      received(1, got("m1", 1)),
      leased(2, 3),
      received(2, got("m1", 1, { attempt: 2 })),
      received(1, got("m1", 1, { attempt: 3 })),
    ),
  "hosts a while process 1 does": () => verdict(hosting(1, 1), hosting(2, 2)),
  "m3 is message 3 in a data, which takes 2": () =>
    verdict(
      accepted("m1", 1),
      accepted("m2", 2),
      accepted("m3", 3),
      leased(1),
      received(1, got("m1", 1), got("m2", 2), got("m3", 3)),
    ),
  "sees b, which nobody registered": () => verdict(hosting(1, 1), looking(), seen(["a", 1, 1], ["b", 1, 1])),
  "does not see a, which process 1 hosts": () => verdict(hosting(1, 1), looking(), seen()),
  "sees a with process 2, incarnation 1: it is 1, 1": () => verdict(hosting(1, 1), looking(), seen(["a", 2, 1])),
  "were not drained": () => checkHistory([], bounds),
  "seen on the way": () => verdict({ ...step(1), kind: "wrong", what: "seen on the way" }),
};

for (const [what, history] of Object.entries(faults)) {
  test(`a history is refused, and only for this: ${what}`, () => {
    const wrong = history();
    expect(wrong).toHaveLength(1);
    expect(wrong[0]).toContain(what);
  });
}
