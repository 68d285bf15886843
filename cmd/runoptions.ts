/** The options of `cfn run`. Those that are settings are read from `Undertaking.settings`, which knows their other sources. */
import type { Args } from "./command.ts";
import { configOption, optionOf } from "./settings.ts";
import { path, runId } from "./values.ts";

export const runArgs = {
  agents: optionOf("run.agents"),
  topology: optionOf("run.topology"),
  coordinators: optionOf("run.coordinators"),
  "workers-per-coordinator": optionOf("run.workers_per_coordinator"),
  tasks: {
    type: "string",
    valueHint: "FILE",
    description: ".jsonl, .json, .yaml, else a line each for {}; - is stdin",
    value: path,
  },
  timeout: optionOf("run.timeout"),
  retries: optionOf("run.retries"),
  halt: optionOf("run.halt"),
  grace: optionOf("run.grace"),
  joblog: { type: "string", valueHint: "FILE", description: "a line per task, GNU parallel's columns", value: path },
  results: { type: "string", valueHint: "DIR", description: "a folder per task: seq, stdout, stderr", value: path },
  resume: {
    type: "string",
    valueHint: "RUN",
    bare: true,
    description: "alone: finish a killed run; else skip what --joblog has",
    value: runId,
  },
  memfree: optionOf("run.memfree"),
  load: optionOf("run.load"),
  pressure: optionOf("run.pressure"),
  tag: { type: "boolean", description: "each line begins with its task" },
  "keep-order": { type: "boolean", alias: "k", description: "output, and joblog, in the order of the tasks" },
  "line-buffer": { type: "boolean", description: "lines as they come; default: grouped by agent" },
  progress: { type: "boolean", description: "say on stderr how far it is" },
  json: { type: "boolean", description: "stdout is NDJSON, a result per task" },
  listen: optionOf("run.listen"),
  report: { type: "string", valueHint: "FILE", description: "write the run report", value: path },
  config: configOption,
} as const satisfies Args;
