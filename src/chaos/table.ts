/** The outcome for people. Pure. */
import { formatDuration } from "../message/quantity.ts";
import type { ChaosOutcome } from "./outcome.ts";
import { victimKinds } from "./plan.ts";
import type { Quantile } from "./recovery.ts";

type Row = readonly (string | number)[];

/** Columns as wide as their longest cell; the first to the left, the others to the right. */
function aligned(rows: readonly Row[]): string {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, String(cell).length);
    });
  return rows
    .map((row) => {
      const cells = row.map((cell, column) =>
        column === 0 ? String(cell).padEnd(widths[0] as number) : String(cell).padStart(widths[column] as number),
      );
      return `  ${cells.join("  ").trimEnd()}\n`;
    })
    .join("");
}

const ms = (value: number): string => (value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${value.toFixed(0)} ms`);

function recoveryRow(name: string, { count, p50_ms, p99_ms, max_ms, unmeasured }: Quantile): Row {
  const note = unmeasured > 0 ? `${unmeasured} unknown` : "";
  return count === 0 ? [name, 0, "-", "-", "-", note] : [name, count, ms(p50_ms), ms(p99_ms), ms(max_ms), note];
}

const DEEDS = ["kill", "stop", "starve", "flood", "hold"] as const;

function strikesTable({ strikes, kill }: ChaosOutcome): string {
  const rows = victimKinds
    .filter((kind) => kill.includes(kind))
    .map((kind): Row => [kind, ...DEEDS.map((deed) => strikes.done[kind][deed] ?? 0)]);
  return aligned([["", "killed", "stopped", "starved", "flooded", "held"], ...rows]);
}

function countsTable({ messages, results, orphans }: ChaosOutcome): string {
  const rows: readonly Row[] = [
    ["", "sent", "received", "lost", "duplicated", "reordered", "torn"],
    [
      "messages",
      messages.sent,
      messages.received,
      messages.lost,
      messages.duplicated,
      messages.reordered,
      messages.torn + messages.forged,
    ],
    ["results", results.expected, results.recorded, results.lost, results.duplicated, "-", results.damaged],
  ];
  const notes = [
    `messages: ${messages.accepted} known to be accepted; of ${messages.unknown} unknown ${messages.unknown_received} came;`,
    `${messages.refused} refused for want of room; ${messages.redelivered} handed over again, and marked so\n`,
  ];
  return `${aligned(rows)}  ${notes.join(" ")}  results: ${results.attempts} attempts, ${results.repeated} tasks done more than once, ${results.failed} failed
  orphans: ${orphans.total} (after a master's death ${orphans.after_master}, after the run ${orphans.after_run}, at the end ${orphans.marked})
`;
}

function recoveryTable({ recovery }: ChaosOutcome): string {
  return aligned([
    ["recovered", "times", "p50", "p99", "max", ""],
    recoveryRow("coordinators killed", recovery.coordinators),
    recoveryRow("coordinators hung", recovery.hung_coordinators),
    recoveryRow("agents killed", recovery.agents),
    recoveryRow("master killed", recovery.master),
  ]);
}

/** Ends with a newline. */
export function chaosTable(outcome: ChaosOutcome): string {
  const { seed, agents, coordinators, duration_ms, elapsed_ms, run, clean, violations, messages, results } = outcome;
  const seconds = (elapsed_ms / 1000).toFixed(1);
  const head = `seed ${seed}: ${agents} agents, ${coordinators} coordinators, ${formatDuration(duration_ms)} of chaos, ${seconds} s in all\n`;
  const gone = run.resumes > 0 ? `, all gone ${ms(run.master_gone_ms)} after the master at the latest` : "";
  const story = `run ${run.run_id || "-"}: ${run.status}, exit ${run.exits.join(", ")}; ${run.failovers} failovers, ${run.adopted} agents adopted, ${run.resumes} resumes${gone}\n`;
  const details = clean ? [] : [...messages.examples, ...results.examples].map((text) => `  ${text}\n`);
  const said = clean || run.said === "" ? "" : `  the run said: ${run.said.replaceAll("\n", "\n    ")}\n`;
  const verdict = clean ? "clean: nothing lost, nothing twice, no orphan" : `VIOLATED: ${violations.join(", ")}`;
  const kept = outcome.evidence === null ? "" : `evidence: ${outcome.evidence}\n`;
  return [
    head,
    strikesTable(outcome),
    countsTable(outcome),
    recoveryTable(outcome),
    story,
    ...details,
    said,
    kept,
    `${verdict}\n`,
  ].join("");
}
