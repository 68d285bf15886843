/** The checker finds each kind of violation in a history made by hand, and none where there is none. */
import { describe, expect, test } from "bun:test";
import { checkMessages, type History, type Receipt } from "../../src/chaos/messages.ts";

const receipt = (n: number, changes: Partial<Receipt> = {}): Receipt => ({
  inbox: "s1",
  from: "p1",
  generation: 1,
  n,
  msgId: `p1.${n}`,
  sequence: n,
  attempt: 1,
  whole: true,
  ...changes,
});

/** Letters 1 to 3 from p1 to s1, all accepted, and these receipts. */
const history = (receipts: readonly Receipt[], changes: Partial<History> = {}): History => ({
  attempted: [{ from: "p1", generation: 1, to: "s1", n: 3 }],
  accepted: [1, 2, 3].map((n) => ({ msgId: `p1.${n}`, to: "s1" })),
  refused: 0,
  receipts,
  ...changes,
});

const all = [receipt(1), receipt(2), receipt(3)];
const clean = { lost: 0, duplicated: 0, reordered: 0, torn: 0, forged: 0, redelivered: 0, unknown_received: 0 };

describe("the checker of messages", () => {
  test("finds nothing wrong where all were received once and in order", () => {
    const counts = checkMessages(history(all));
    expect(counts).toMatchObject({ ...clean, sent: 3, accepted: 3, unknown: 0, received: 3, examples: [] });
  });

  test("finds an accepted message that nobody received", () => {
    const counts = checkMessages(history([receipt(1), receipt(3)]));
    expect(counts).toMatchObject({ ...clean, received: 2, lost: 1, examples: ["lost: p1.2 to s1"] });
  });

  test("finds one that was handed over twice without saying so", () => {
    expect(checkMessages(history([...all, receipt(2)]))).toMatchObject({ ...clean, received: 3, duplicated: 1 });
  });

  test("allows one that is handed over again and says so", () => {
    const counts = checkMessages(history([...all, receipt(2, { attempt: 2 }), receipt(3, { attempt: 2 })]));
    expect(counts).toMatchObject({ ...clean, received: 3, redelivered: 2 });
  });

  test("finds one letter under two ids", () => {
    const counts = checkMessages(history([...all, receipt(3, { msgId: "p1.other", sequence: 4 })]));
    expect(counts.duplicated).toBe(1);
  });

  test("finds one that came after a later one of its sender", () => {
    expect(checkMessages(history([receipt(2), receipt(1), receipt(3)]))).toMatchObject({ ...clean, reordered: 1 });
  });

  test("finds sequence numbers that do not rise", () => {
    const counts = checkMessages(history([receipt(1, { sequence: 2 }), receipt(2, { sequence: 2 }), receipt(3)]));
    expect(counts.reordered).toBe(1);
  });

  test("takes no order for granted between two senders or two inboxes", () => {
    const counts = checkMessages({
      attempted: [
        { from: "p1", generation: 1, to: "s1", n: 1 },
        { from: "p1", generation: 1, to: "s2", n: 1 },
        { from: "p2", generation: 1, to: "s1", n: 1 },
      ],
      accepted: [],
      refused: 0,
      receipts: [
        receipt(1, { msgId: "p2.1", from: "p2", sequence: 9 }),
        receipt(1, { sequence: 1 }),
        receipt(1, { msgId: "p1.2", inbox: "s2", sequence: 1 }),
      ],
    });
    expect(counts).toMatchObject({ ...clean, unknown_received: 3 });
  });

  test("lets a sender's later life begin at 1 again, and never go back to the earlier one", () => {
    const attempted = [1, 2].map((generation) => ({ from: "p1", generation, to: "s1", n: 1 }));
    const first = receipt(1);
    const second = receipt(1, { generation: 2, msgId: "p1.b", sequence: 2 });
    const inOrder = checkMessages({ attempted, accepted: [], refused: 0, receipts: [first, second] });
    expect(inOrder).toMatchObject({ ...clean, received: 2, unknown_received: 2 });
    const turned = [
      { ...second, sequence: 1 },
      { ...first, sequence: 2 },
    ];
    expect(checkMessages({ attempted, accepted: [], refused: 0, receipts: turned }).reordered).toBe(1);
  });

  test("allows a message of unknown outcome either way", () => {
    const accepted = [{ msgId: "p1.1", to: "s1" }];
    const came = checkMessages(history(all.slice(0, 2), { accepted }));
    expect(came).toMatchObject({ ...clean, sent: 3, accepted: 1, unknown: 2, received: 2, unknown_received: 1 });
    expect(checkMessages(history(all.slice(0, 1), { accepted }))).toMatchObject({ ...clean, unknown: 2 });
  });

  test("finds one that is not as it was written", () => {
    expect(checkMessages(history([receipt(1), receipt(2, { whole: false }), receipt(3)]))).toMatchObject({
      ...clean,
      received: 3,
      torn: 1,
    });
  });

  test("finds one that nobody sent, or that nobody sent there", () => {
    expect(checkMessages(history([...all, receipt(4, { msgId: "p1.4" })])).forged).toBe(1);
    const elsewhere = all.map((one) => ({ ...one, inbox: "s2" }));
    expect(checkMessages(history(elsewhere)).forged).toBe(3);
  });

  test("names the first few and counts them all", () => {
    const accepted = Array.from({ length: 500 }, (_, n) => ({ msgId: `p1.${n}`, to: "s1" }));
    const counts = checkMessages(history([], { accepted }));
    expect(counts.lost).toBe(500);
    expect(counts.examples).toHaveLength(10);
  });
});
