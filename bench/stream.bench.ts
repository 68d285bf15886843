/** A long task list on stdin: the master's memory must not grow with it. */
import { closeSync, existsSync, openSync, readFileSync, readSync } from "node:fs";
import { join } from "node:path";
import { cfnBinary, inPlace, type Place } from "./support/cfn.ts";
import { pssSampler, rssBytes } from "./support/processes.ts";
import type { Bench, Check, Row } from "./support/result.ts";

const MiB = 1024 * 1024;

interface Streamed {
  readonly rssAtTenth: number;
  readonly rssAtEnd: number;
  readonly pssAtTenth: number;
  readonly pssAtEnd: number;
  readonly seconds: number;
  readonly jobs: number;
  readonly differentJobs: number;
  readonly failed: number;
}

/** Task lines, made as they are read: the bench does not hold them either. */
function taskLines(count: number): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let next = 1;
  return new ReadableStream({
    pull(controller) {
      let text = "";
      for (let end = Math.min(count, next + 999); next <= end; next++) text += `line-${next}\n`;
      if (text !== "") controller.enqueue(encoder.encode(text));
      if (next > count) controller.close();
    },
  });
}

/** Rows of a joblog without its header, as [Seq, Exitval]. */
function jobs(path: string): [string, string][] {
  const rows = readFileSync(path, "utf8").trimEnd().split("\n").slice(1);
  return rows.map((row) => {
    const columns = row.split("\t");
    return [columns[0] as string, columns[6] as string];
  });
}

async function stream(place: Place, lines: number, agents: number): Promise<Streamed> {
  const joblog = join(place.dir, "joblog");
  const argv = [cfnBinary(), "run", "--agents", `${agents}`, "--tasks", "-", "--joblog", joblog, "--", "sh", "-c", ":"];
  const start = performance.now();
  const child = Bun.spawn(argv, { env: place.env, stdin: taskLines(lines), stdout: "ignore", stderr: "inherit" });
  const pss = pssSampler(child.pid, cfnBinary());
  let running = true;
  const ended = child.exited.finally(() => {
    running = false;
  });
  // A tenth of the list is the reference, 10,000 of 100,000 lines: by then whatever fills up early has filled up.
  const reference = Math.floor(lines / 10);
  const follower = joblogFollower(joblog);
  let atTenth = { rss: 0, pss: 0 };
  let atEnd = { rss: 0, pss: 0 };
  while (running) {
    const rss = rssBytes(child.pid);
    const now = { rss, pss: pss().bytes };
    const done = follower();
    if (rss > 0 && (atTenth.rss === 0 || done <= reference)) atTenth = now;
    if (rss > 0 && now.pss > 0) atEnd = now;
    await Bun.sleep(lines < 10_000 ? 5 : 100);
  }
  if ((await ended) !== 0) throw new Error(`${argv.join(" ")} exited with ${await ended}`);
  const rows = existsSync(joblog) ? jobs(joblog) : [];
  return {
    rssAtTenth: atTenth.rss / MiB,
    rssAtEnd: atEnd.rss / MiB,
    pssAtTenth: atTenth.pss / MiB,
    pssAtEnd: atEnd.pss / MiB,
    seconds: (performance.now() - start) / 1000,
    jobs: rows.length,
    differentJobs: new Set(rows.map(([seq]) => seq)).size,
    failed: rows.filter(([, exit]) => exit !== "0").length,
  };
}

/** How many jobs the growing joblog holds, reading at each call only what is new. */
function joblogFollower(path: string): () => number {
  const buffer = new Uint8Array(1 << 20);
  let offset = 0;
  let newlines = 0;
  return () => {
    if (!existsSync(path)) return 0;
    const fd = openSync(path, "r");
    for (let got = 1; got > 0; offset += got) {
      got = readSync(fd, buffer, 0, buffer.length, offset);
      for (let i = 0; i < got; i++) if (buffer[i] === 10) newlines++;
    }
    closeSync(fd);
    return Math.max(0, newlines - 1);
  };
}

export const streamBench: Bench = {
  name: "stream",
  claims: [
    "100,000 task lines on stdin through 50 agents: RSS at the end within 20 MB of that at 10,000, joblog complete",
  ],
  commands: ["seq 100000 | cfn run --agents 50 --tasks - --joblog F -- sh -c :"],
  async run(sizes) {
    const agents = Math.min(50, sizes.lines);
    const got = await inPlace((place) => stream(place, sizes.lines, agents));
    const what = `${sizes.lines} lines, ${agents} agents`;
    const growth = [got.rssAtEnd - got.rssAtTenth];
    const rows: Row[] = [
      {
        what: `${what}: RSS of the master, end minus a tenth`,
        unit: "MiB",
        samples: growth,
        target: { most: 20e6 / MiB },
      },
      { what: `${what}: RSS of the master at a tenth`, unit: "MiB", samples: [got.rssAtTenth] },
      { what: `${what}: RSS of the master at the end`, unit: "MiB", samples: [got.rssAtEnd] },
      { what: `${what}: PSS of all cfn processes at a tenth`, unit: "MiB", samples: [got.pssAtTenth] },
      { what: `${what}: PSS of all cfn processes at the end`, unit: "MiB", samples: [got.pssAtEnd] },
      { what: `${what}: tasks per second`, unit: "tasks/s", samples: [sizes.lines / got.seconds] },
    ];
    const checks: Check[] = [
      {
        what: "joblog: one row per line, all different, all exited with 0",
        ok: got.jobs === sizes.lines && got.differentJobs === sizes.lines && got.failed === 0,
        seen: `${got.jobs} rows, ${got.differentJobs} different, ${got.failed} failed`,
      },
      { what: "memory was seen", ok: got.rssAtTenth > 0 && got.rssAtEnd > 0, seen: `${got.rssAtEnd.toFixed(1)} MiB` },
    ];
    return { rows, checks, left_out: [] };
  },
};
