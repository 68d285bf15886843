/** Every kind of finding keeps the verdict from being clean, and so does a proof in which nothing was done. */
import { expect, test } from "bun:test";
import { checkMessages } from "../../src/chaos/messages.ts";
import { type ChaosOutcome, countStrikes, violationsOf } from "../../src/chaos/outcome.ts";
import { checkResults } from "../../src/chaos/results.ts";

type Found = Parameters<typeof violationsOf>[0];

const none = {
  messages: checkMessages({ attempted: [], accepted: [], refused: 0, receipts: [] }),
  results: checkResults({ tasks: 0, taskName: String, joblog: "", folders: [], lives: [] }),
};

const clean: Found = {
  messages: { ...none.messages, sent: 1, accepted: 1, received: 1, unknown_received: 5, redelivered: 5, refused: 5 },
  results: { ...none.results, repeated: 5 },
  orphans: { after_master: 0, after_run: 0, marked: 0, total: 0, ended_by_run: 9 },
  run: {
    run_id: "r",
    exits: [137, 0],
    status: "completed",
    hung: false,
    resumes: 1,
    master_gone_ms: 10,
    failovers: 0,
    adopted: 0,
    reassigned: 0,
    delivery_rate: 1,
    buses_left: 0,
    said: "",
  },
  sender_failures: 0,
  kill: ["agents"],
  strikes: { planned: 1, done: { agents: { kill: 1 }, coordinators: {}, master: {}, senders: {} } },
};

test("nothing of what is allowed is held against it", () => {
  expect(violationsOf(clean)).toEqual([]);
});

test("each thing that must not be is named", () => {
  const wrong: readonly (readonly [Partial<Found>, string])[] = [
    [{ messages: { ...clean.messages, lost: 2 } }, "2 messages lost"],
    [{ messages: { ...clean.messages, duplicated: 1 } }, "1 messages duplicated"],
    [{ messages: { ...clean.messages, reordered: 1 } }, "1 messages out of order"],
    [{ messages: { ...clean.messages, torn: 1 } }, "1 messages torn"],
    [{ messages: { ...clean.messages, forged: 1 } }, "1 messages that nobody sent"],
    [{ messages: { ...clean.messages, received: 0 } }, "no message was received"],
    [{ results: { ...clean.results, lost: 1 } }, "1 results lost"],
    [{ results: { ...clean.results, duplicated: 1 } }, "1 results duplicated"],
    [{ results: { ...clean.results, failed: 1 } }, "1 tasks failed"],
    [{ results: { ...clean.results, damaged: 1 } }, "1 results damaged"],
    [{ orphans: { ...clean.orphans, marked: 1, total: 1 } }, "1 orphans"],
    [{ run: { ...clean.run, buses_left: 1 } }, "1 buses left behind"],
    [{ run: { ...clean.run, exits: [137, 64] } }, "the run ended with status 64"],
    [{ run: { ...clean.run, hung: true, exits: [] } }, "the run did not end"],
    [{ sender_failures: 1 }, "1 senders failed by themselves"],
    [{ kill: ["agents", "master"] }, "nothing could be done to the master"],
  ];
  for (const [changes, sentence] of wrong) expect(violationsOf({ ...clean, ...changes })).toEqual([sentence]);
});

test("only strikes that were carried out count", () => {
  const stroke = { victim: "agents", deed: "kill", atMs: 1, forMs: 0, pick: 0, at: 1, target: "t1", pid: 5 } as const;
  const strokes: ChaosOutcome["strokes"] = [
    { ...stroke, outcome: "done" },
    { ...stroke, outcome: "gone" },
    { ...stroke, outcome: "none" },
    { ...stroke, deed: "stop", outcome: "done" },
  ];
  expect(countStrikes(strokes)).toEqual({ agents: { kill: 1, stop: 1 }, coordinators: {}, master: {}, senders: {} });
});
