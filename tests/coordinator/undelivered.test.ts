import { expect, test } from "bun:test";
import type { Bus } from "../../src/bus/contract.ts";
import { drainInboxes, type KeepLines, type MessageReport } from "../../src/coordinator/undelivered.ts";
import { withOpenBus } from "../support/open-bus.ts";

/** What is said of a hundred messages that nobody has read; `keep` is given the lines of each reading. */
const drained = (keep: KeepLines): Promise<MessageReport> =>
  withOpenBus((bus: Bus) => {
    bus.register({ id: "w", role: "worker" });
    for (let n = 0; n < 100; n++) bus.send({ from: "a", to: "w", type: "t", payload: n });
    return drainInboxes(bus, "master", "run", keep);
  });

test("what nobody has read is written down whole", async () => {
  let kept = "";
  const messages = await drained((lines) => {
    kept += lines;
    return "/file";
  });
  expect(messages).toMatchObject({ undelivered: 100, undelivered_file: "/file", undelivered_unkept: 0 });
  const payloads = kept
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { readonly payload: number }).payload);
  expect(payloads).toEqual(Array.from({ length: 100 }, (_, n) => n));
});

test("what could not be written down is counted, beside the file of the others", async () => {
  let kept = 0;
  let full = false;
  const messages = await drained((lines) => {
    if (full) return undefined;
    full = true;
    kept = lines.trimEnd().split("\n").length;
    return "/file";
  });
  expect(kept).toBeGreaterThan(0);
  expect(messages).toMatchObject({ undelivered: 100, undelivered_file: "/file", undelivered_unkept: 100 - kept });
});

test("where nothing could be written down there is no file", async () => {
  const messages = await drained(() => undefined);
  expect(messages).toMatchObject({ undelivered: 100, undelivered_file: null, undelivered_unkept: 100 });
});
