/** The options of `cfn run`. */
import { hybridFromWorkers } from "../src/coordinator/shape.ts";
import { limits } from "../src/limits.ts";
import { coreCount } from "../src/os/usage.ts";
import type { Args } from "./command.ts";
import { decimal, duration, path, runId, size, whole } from "./values.ts";

export const runArgs = {
  agents: {
    type: "string",
    valueHint: "N",
    description: "workers alive at once (1; with --tasks two per core)",
    env: "CFN_MAX_AGENTS",
    value: whole(1, limits.agentsMax),
  },
  topology: {
    type: "enum",
    options: ["auto", "flat", "hybrid"],
    description: `auto: hybrid from ${hybridFromWorkers} workers (one a core) or with K, else flat`,
    env: "CFN_TOPOLOGY",
  },
  coordinators: {
    type: "string",
    valueHint: "K",
    description: `hybrid: how many (${limits.coordinatorsDefault}; with --agents one per core)`,
    env: "CFN_COORDINATORS",
    value: whole(1, limits.coordinatorsMax),
  },
  "workers-per-coordinator": {
    type: "string",
    valueHint: "W",
    description: `hybrid: each one's team (${limits.workersPerCoordinatorDefault})`,
    env: "CFN_WORKERS_PER_COORDINATOR",
    value: whole(1, limits.agentsMax),
  },
  tasks: {
    type: "string",
    valueHint: "FILE",
    description: ".jsonl, .json, .yaml, else a line each for {}; - is stdin",
    value: path,
  },
  timeout: { type: "string", valueHint: "D", description: "end a task after this time", value: duration(1) },
  retries: {
    type: "string",
    valueHint: "N",
    description: "run a failed task up to N times more (0)",
    value: whole(0, limits.retriesMax),
  },
  halt: {
    type: "enum",
    options: ["never", "soon", "now"],
    description: "after a failure: go on, start no more, or end all",
  },
  joblog: { type: "string", valueHint: "FILE", description: "a line per task, GNU parallel's columns", value: path },
  results: { type: "string", valueHint: "DIR", description: "a folder per task: seq, stdout, stderr", value: path },
  resume: {
    type: "string",
    valueHint: "RUN",
    bare: true,
    description: "alone: finish a killed run; else skip what --joblog has",
    value: runId,
  },
  memfree: {
    type: "string",
    valueHint: "SIZE",
    description: "start no agent while less memory is available",
    value: size(1, 2 ** 50),
  },
  load: {
    type: "string",
    valueHint: "N|P%",
    description: "start no agent above this load average (P% of the cores)",
    value: decimal(limits.agentsMax, coreCount),
  },
  pressure: {
    type: "string",
    valueHint: "PERCENT",
    description: "start no agent above this pressure (/proc/pressure)",
    value: decimal(100),
  },
  tag: { type: "boolean", description: "each line begins with its task" },
  "keep-order": { type: "boolean", alias: "k", description: "output, and joblog, in the order of the tasks" },
  "line-buffer": { type: "boolean", description: "lines as they come; default: grouped by agent" },
  progress: { type: "boolean", description: "say on stderr how far it is" },
  json: { type: "boolean", description: "stdout is NDJSON, a result per task" },
  report: { type: "string", valueHint: "FILE", description: "write the run report", value: path },
} as const satisfies Args;
