import { describe, expect, test } from "bun:test";
import { addDeliveries, deliveryRate, Tally } from "../../src/coordinator/tally.ts";

describe("a tally", () => {
  test("expects a receipt and a result for each task", () => {
    const tally = new Tally();
    tally.taskSent("a");
    expect(tally.delivery()).toEqual({
      expected: 2,
      delivered: 0,
      duplicates: 0,
      lost: ["a", "result-of:a"],
      withdrawn: 0,
    });
  });

  test("counts a result that names its task as two deliveries", () => {
    const tally = new Tally();
    tally.taskSent("a");
    expect(tally.resultReceived("w1", 1, "a")).toBe(true);
    expect(tally.delivery()).toEqual({ expected: 2, delivered: 2, duplicates: 0, lost: [], withdrawn: 0 });
  });

  test("names what was lost", () => {
    const tally = new Tally();
    for (const id of ["a", "b"]) tally.taskSent(id);
    tally.resultReceived("w1", 1, "b");
    expect(tally.delivery().lost).toEqual(["a", "result-of:a"]);
  });

  test("takes a sequence number met before for a duplicate, and counts it once", () => {
    const tally = new Tally();
    for (const id of ["a", "b"]) tally.taskSent(id);
    tally.resultReceived("w1", 1, "a");
    expect(tally.resultReceived("w1", 1, "b")).toBe(false);
    expect(tally.delivery()).toMatchObject({ delivered: 2, duplicates: 1 });
  });

  test("takes a second result for one task for a duplicate", () => {
    const tally = new Tally();
    tally.taskSent("a");
    tally.resultReceived("w1", 1, "a");
    expect(tally.resultReceived("w1", 2, "a")).toBe(false);
    expect(tally.delivery()).toMatchObject({ expected: 2, delivered: 2, duplicates: 1 });
  });

  test("does not count a result that answers nothing that was sent", () => {
    const tally = new Tally();
    expect(tally.resultReceived("w1", 1, "never sent")).toBe(false);
    expect(tally.resultReceived("w2", 1, undefined)).toBe(false);
    expect(tally.delivery()).toMatchObject({ expected: 0, delivered: 0, duplicates: 2 });
  });

  test("does not expect a result from a receiver that died, nor the receipt unless that is known", () => {
    const tally = new Tally();
    for (const id of ["a", "b", "c"]) tally.taskSent(id);
    tally.resultReceived("w1", 1, "a");
    tally.withdraw("b", true);
    tally.withdraw("c", false);
    expect(tally.delivery()).toEqual({ expected: 3, delivered: 3, duplicates: 0, lost: [], withdrawn: 3 });
    tally.withdraw("a", false);
    expect(tally.delivery()).toMatchObject({ expected: 3, delivered: 3, withdrawn: 3 });
  });

  test("keeps only what is under way", () => {
    const tally = new Tally();
    for (let n = 1; n <= 10_000; n++) {
      tally.taskSent(`m${n}`);
      tally.resultReceived("w1", n, `m${n}`);
    }
    expect(tally.delivery()).toEqual({ expected: 20_000, delivered: 20_000, duplicates: 0, lost: [], withdrawn: 0 });
  });
});

describe("delivery", () => {
  test("of several levels is their sum", () => {
    const part = { expected: 2, delivered: 1, duplicates: 1, lost: ["a"], withdrawn: 1 };
    expect(addDeliveries([part, { ...part, lost: ["b"] }])).toEqual({
      expected: 4,
      delivered: 2,
      duplicates: 2,
      lost: ["a", "b"],
      withdrawn: 2,
    });
  });

  test("has the rate delivered over expected, and 1 where nothing was expected", () => {
    expect(deliveryRate({ expected: 4, delivered: 3, duplicates: 0, lost: [], withdrawn: 0 })).toBe(0.75);
    expect(deliveryRate({ expected: 0, delivered: 0, duplicates: 0, lost: [], withdrawn: 0 })).toBe(1);
  });
});
