/** Starts of whole processes, timed by hyperfine in `start.sh` and `send.sh`; here its exports become pairs. */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cfnBinary, inPlace, type Place, root } from "./support/cfn.ts";
import { program } from "./support/machine.ts";
import { succeed } from "./support/processes.ts";
import type { Bench, Check, Outcome, Row, Sizes } from "./support/result.ts";
import { median, ratios } from "./support/stats.ts";

interface Export {
  readonly results: readonly { readonly command: string; readonly times: readonly number[] }[];
}

/** Runs one of the scripts; gives each command's median per round, in milliseconds. */
async function hyperfine(place: Place, script: string, sizes: Sizes): Promise<Map<string, number[]>> {
  const out = join(place.dir, script);
  mkdirSync(out, { recursive: true });
  const runs = sizes.smoke ? 3 : 40;
  const env = { ...place.env, CFN_BENCH_BINARY: cfnBinary() };
  await succeed({ argv: [join(root, `bench/${script}.sh`), out, `${sizes.rounds}`, `${runs}`], env });
  const medians = new Map<string, number[]>();
  for (let round = 0; round < sizes.rounds; round++) {
    const taken = JSON.parse(readFileSync(join(out, `${script}.${round}.json`), "utf8")) as Export;
    for (const { command, times } of taken.results) {
      const list = medians.get(command) ?? [];
      list.push(median(times) * 1000);
      medians.set(command, list);
    }
  }
  return medians;
}

const missing: Outcome = { rows: [], checks: [], left_out: ["all of it: hyperfine is not installed"] };

export const startBench: Bench = {
  name: "start",
  claims: ["a compiled program that imports a node: module or bun:ffi starts noticeably later than one that does not"],
  commands: ["bench/start.sh OUT"],
  async run(sizes) {
    if (program("hyperfine") === undefined) return missing;
    const medians = await inPlace((place) => hyperfine(place, "start", sizes));
    const hello = medians.get("hello") ?? [];
    const rows: Row[] = [];
    for (const [command, samples] of medians) {
      rows.push({ what: `start of ${command}, median of each round`, unit: "ms", samples });
      if (command !== "hello") rows.push({ what: `${command} / hello`, unit: "×", samples: ratios(samples, hello) });
    }
    return { rows, checks: [], left_out: [] };
  },
};

export const sendBench: Bench = {
  name: "send",
  claims: ["cfn send as a process within 1.3× of a compiled hello world"],
  commands: ["bench/send.sh OUT   (cfn send sink --from alice --text hello; bench/baseline/message-bus.sh send …)"],
  async run(sizes) {
    if (program("hyperfine") === undefined) return missing;
    const [medians, counted] = await inPlace(async (place) => {
      const taken = await hyperfine(place, "send", sizes);
      const count = JSON.parse(readFileSync(join(place.dir, "send/send.count.json"), "utf8"));
      return [taken, count as { sent: number; received: number }] as const;
    });
    const hello = medians.get("hello") ?? [];
    const send = medians.get("cfn-send") ?? [];
    const baseline = medians.get("baseline-send") ?? [];
    const rows: Row[] = [
      { what: "cfn send / compiled hello world", unit: "×", samples: ratios(send, hello), target: { most: 1.3 } },
      { what: "send of the bash baseline / cfn send", unit: "×", samples: ratios(baseline, send) },
      { what: "cfn send, median of each round", unit: "ms", samples: send },
      { what: "compiled hello world, median of each round", unit: "ms", samples: hello },
      { what: "send of the bash baseline, median of each round", unit: "ms", samples: baseline },
    ];
    const checks: Check[] = [
      {
        what: "every message sent was received",
        ok: counted.sent === counted.received && counted.sent > 0,
        seen: `${counted.received} of ${counted.sent}`,
      },
    ];
    return { rows, checks, left_out: [] };
  },
};
