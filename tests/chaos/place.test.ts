import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { takePlace } from "../../src/chaos/place.ts";
import { ownIdentity } from "../../src/os/process.ts";
import { withBusBase } from "../support/bus.ts";

const withPlaces = (use: (env: { CFN_MESSAGE_BASE_DIR: string; TMPDIR: string }) => void): Promise<void> =>
  withBusBase(
    (base) => {
      const tmp = mkdtempSync(`${tmpdir()}/cfn-place-`);
      try {
        use({ CFN_MESSAGE_BASE_DIR: base, TMPDIR: tmp });
      } finally {
        rmSync(tmp, { recursive: true, force: true });
      }
    },
    { leaves: true },
  );

describe("the place of a chaos", () => {
  test("is its own, and what a chaos left that was killed is removed", () =>
    withPlaces((env) => {
      const { pid, startTicks } = ownIdentity();
      const dead = `chaos-${pid}-${startTicks + 1}-abc`;
      const living = `chaos-${pid}-${startTicks}-abc`;
      const others = ["run-abc", "default", "chaos-abc", "my-chaos-1-1-abc"];
      for (const name of [dead, living, ...others]) mkdirSync(`${env.CFN_MESSAGE_BASE_DIR}/${name}`);
      for (const name of [dead, living]) mkdirSync(`${env.TMPDIR}/cfn-${name}/state`, { recursive: true });
      const place = takePlace(env, undefined);
      expect(readdirSync(env.CFN_MESSAGE_BASE_DIR).toSorted()).toEqual([living, ...others].toSorted());
      expect(existsSync(`${env.TMPDIR}/cfn-${dead}`)).toBe(false);
      expect(existsSync(`${env.TMPDIR}/cfn-${living}`)).toBe(true);
      expect(place.dir).toBe(`${env.TMPDIR}/cfn-chaos-${place.mark}`);
      expect(existsSync(place.dir)).toBe(true);
      expect(place.kept).toBe(false);
    }));

  test("may be named, if it is new or empty", () =>
    withPlaces((env) => {
      const keep = `${env.TMPDIR}/kept`;
      expect(takePlace(env, keep)).toMatchObject({ dir: keep, kept: true });
      expect(takePlace(env, keep)).toMatchObject({ dir: keep, kept: true });
      writeFileSync(`${keep}/file`, "");
      expect(() => takePlace(env, keep)).toThrow("it is not empty");
      expect(() => takePlace(env, `${keep}/file`)).toThrow("cannot keep the evidence");
      expect(() => takePlace(env, `${env.TMPDIR}/none/kept`)).toThrow("no such file");
    }));
});
