/** Rewrites the results in README.md between the two markers from `bench/results/*.json`: no figure is typed by hand. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { meets, type Result, rowText, stateText, targetText } from "./support/result.ts";

const begin = "<!-- results: written by bench/table.ts -->";
const end = "<!-- end of results -->";
const order = ["swarm", "baseline", "bus", "send", "start", "stream", "metrics", "endpoint", "backpressure"];

function section(result: Result): string {
  const { machine: on } = result;
  const head = [
    `### ${result.name}`,
    "",
    ...result.claims.map((claim) => `Claim: ${claim}.  `),
    ...result.commands.map((command) => `Command: \`${command}\`  `),
    `Machine: ${on.cpu}, ${on.cores} cores, ${on.memory_gib} GiB, Linux ${on.kernel}, Bun ${on.bun}; ` +
      `${stateText(result)}; ${result.taken_at.slice(0, 10)}; ${result.sizes.rounds} rounds.`,
    "",
    "| what | median (min–max) | target | met |",
    "|---|---|---|---|",
  ];
  const rows = result.rows.map((row) => {
    const met = meets(row);
    return `| ${row.what} | ${rowText(row)} | ${targetText(row)} | ${met === undefined ? "" : met ? "yes" : "**no**"} |`;
  });
  const checks = result.checks.map(
    (check) => `${check.ok ? "Checked" : "**Wrong**"}: ${check.what} (${check.seen}).  `,
  );
  const absent = result.left_out.map((each) => `Left out: ${each}.  `);
  return [...head, ...rows, "", ...checks, ...absent].join("\n").trimEnd();
}

const results = order
  .map((name) => join(import.meta.dir, "results", `${name}.json`))
  .filter((path) => existsSync(path))
  .map((path) => JSON.parse(readFileSync(path, "utf8")) as Result);
const small = results.filter((result) => result.sizes.smoke).map((result) => result.name);
if (small.length > 0)
  throw new Error(`bench/results holds smoke runs (${small.join(", ")}): their figures mean nothing`);

const readme = join(import.meta.dir, "README.md");
const text = readFileSync(readme, "utf8");
const from = text.indexOf(begin);
const to = text.indexOf(end);
if (from < 0 || to < from) throw new Error(`${readme} lacks the markers "${begin}" and "${end}"`);
const table =
  results.length === 0
    ? "No results yet: `npm run bench`, then `bun bench/table.ts`."
    : results.map(section).join("\n\n");
writeFileSync(readme, `${text.slice(0, from + begin.length)}\n\n${table}\n\n${text.slice(to)}`);
