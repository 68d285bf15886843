/** What a person sees of a damaged bus: the binary's exit statuses, its stdout, and its one warning on stderr. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { type CommandOutcome, runCfn } from "../support/binary.ts";
import { withOpenBus } from "../support/open-bus.ts";
import { linesOf } from "../support/swarm.ts";

const WARNING = /^cfn: warn: the bus \S+ was damaged in (one place|\d+ places) and mended: messages may be lost$/;

/** Overwrites a byte of each place of the file. */
function damage(path: string, ...places: number[]): void {
  const bytes = readFileSync(path);
  for (const at of places) bytes[at] = (bytes[at] as number) ^ 0xff;
  writeFileSync(path, bytes, { flag: "r+" });
}

const payloads = ({ stdout }: CommandOutcome): unknown[] =>
  linesOf(stdout).map((line) => (JSON.parse(line) as { payload: unknown }).payload);

const cfn = (dir: string, ...args: string[]): Promise<CommandOutcome> => runCfn([...args, "--bus", dir]);

test("recv hands over what is whole, and it, send and agents warn of the damage once each", () =>
  withOpenBus(
    async (bus, dir) => {
      bus.register({ id: "w", role: "worker" });
      for (const payload of ["first", "second", "third"]) bus.send({ from: "a", to: "w", type: "t", payload });
      const segment = `${dir}/shards/00/segment-1`;
      damage(segment, readFileSync(segment).indexOf("second"));

      const received = await cfn(dir, "recv", "w");
      expect([received.code, payloads(received)]).toEqual([0, ["first", "third"]]);
      for (const outcome of [received, await cfn(dir, "send", "w", "--text", "x"), await cfn(dir, "agents")]) {
        expect(outcome.code, outcome.stderr).toBe(0);
        expect(
          linesOf(outcome.stderr).filter((line) => WARNING.test(line)),
          outcome.stderr,
        ).toHaveLength(1);
        expect(outcome.stderr).toContain(`${dir}/shards/*/damaged-*`);
      }
      const [kept] = readdirSync(`${dir}/shards/00`).filter((name) => name.startsWith("damaged-"));
      expect(kept).toMatch(/^damaged-1-segment-1-at-\d+$/);
      expect(readFileSync(`${dir}/shards/00/${kept}`).includes("econd")).toBe(true);
    },
    { shards: 1 },
  ));

test("an index overwritten with zeros costs the agents without messages, and nothing that was sent", () =>
  withOpenBus(
    async (bus, dir) => {
      for (const id of ["v", "w", "empty"]) bus.register({ id, role: "worker" });
      for (const to of ["v", "w"]) bus.send({ from: "a", to, type: "t", payload: `to ${to}` });
      writeFileSync(`${dir}/shards/00/index`, new Uint8Array(readFileSync(`${dir}/shards/00/index`).length), {
        flag: "r+",
      });

      const sent = await cfn(dir, "send", "w", "--text", "later");
      expect([sent.code, WARNING.test(linesOf(sent.stderr)[0] as string)], sent.stderr).toEqual([0, true]);
      expect(payloads(await cfn(dir, "recv", "v"))).toEqual(["to v"]);
      expect(payloads(await cfn(dir, "recv", "w"))).toEqual(["to w", "later"]);
      expect((await cfn(dir, "recv", "empty")).code).toBe(66);
    },
    { shards: 1 },
  ));

test("a damaged meta file is refused by every command, with the file and what to do", () =>
  withOpenBus(
    async (_, dir) => {
      damage(`${dir}/meta`, readFileSync(`${dir}/meta`).indexOf('"shards":') + 9);
      for (const args of [["recv", "w"], ["send", "w", "--text", "x"], ["agents"]]) {
        const { code, stdout, stderr } = await cfn(dir, ...args);
        expect([code, stdout]).toEqual([69, ""]);
        expect(stderr).toBe(
          `cfn: error: ${dir} is not a bus: the file ${dir}/meta is damaged\n  remove the directory and start the run again\n`,
        );
      }
    },
    { shards: 1 },
  ));

test("a message whose stored body was damaged is left out and its file kept; the next one comes", () =>
  withOpenBus(
    async (bus, dir) => {
      bus.register({ id: "w", role: "worker" });
      for (const payload of ["x".repeat(50_000), "small"]) bus.send({ from: "a", to: "w", type: "t", payload });
      const [blob] = readdirSync(`${dir}/blobs`) as [string];
      damage(`${dir}/blobs/${blob}`, 30_000);
      const received = await cfn(dir, "recv", "w");
      expect([received.code, payloads(received)]).toEqual([0, ["small"]]);
      expect(received.stderr).toMatch(/was damaged in one place/);
      expect(readdirSync(`${dir}/shards/00`)).toContain(`damaged-1-blob-${blob}`);
    },
    { shards: 1 },
  ));
