/** An examination as text: a line per check, its remedy below it, and what it comes to. Pure. */
import type { Check, Verdict } from "./check.ts";
import type { Examination } from "./examine.ts";

const marks: Record<Verdict, string> = { ok: "ok", warn: "warn", fail: "FAIL" };

export function doctorTable({ agents, room, checks, fixed = [] }: Examination): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const indent = " ".repeat(width + 8);
  const lines = fixed.map(({ kind, path }) => `removed ${kind} ${path}`);
  for (const { name, figure, verdict, remedy } of checks) {
    lines.push(`${marks[verdict].padEnd(4)}  ${name.padEnd(width)}  ${figure}`);
    if (remedy !== undefined && remedy !== "") lines.push(`${indent}→ ${remedy}`);
  }
  lines.push(summaryOf(agents, room, checks));
  return lines.map((line) => `${line}\n`).join("");
}

function summaryOf(agents: number, room: number, checks: readonly Check[]): string {
  const named = (verdict: Verdict): string[] =>
    checks.filter((check) => check.verdict === verdict).map(({ name }) => name);
  const failed = named("fail");
  const fits = `a flat swarm of up to ${room} fits`;
  if (failed.length > 0) return `not ready for ${agents} agents: ${failed.join(", ")}${room > 0 ? `; ${fits}` : ""}`;
  const warned = named("warn");
  return `ready for ${agents} agents (${fits})${warned.length > 0 ? `; warnings: ${warned.join(", ")}` : ""}`;
}
