/**
 * Every setting of cfn: the one source of its type, default, range, variable, option and description. `cfn run --help`, `cfn
 * config reference` and the JSON Schema are made of it, and nothing is read past it.
 *
 * A default is written as a file would have it. What is set nowhere and has no default is `undefined` in `Settings`, and
 * `unset` says what holds then. Pure.
 */
import * as v from "valibot";
import { limits } from "../limits.ts";
import { formatBytes, formatDuration } from "../message/quantity.ts";
import {
  absolutePath,
  address,
  choice,
  command,
  decimal,
  type FileValue,
  integer,
  type KindFacts,
  loadMark,
  size,
  span,
  token,
  truth,
} from "./kinds.ts";

/** What a setting has beside its values. */
export interface SettingFacts {
  /** What it does, in few words: the help of an option has room for about 60 characters. */
  readonly about: string;
  /** What holds where nobody sets it and there is no default. */
  readonly unset?: string;
  /** Variables instead of `CFN_<SECTION>_<NAME>`, the first the preferred one. */
  readonly env?: readonly string[];
  /** An option of `cfn run` too, called like the setting. As its help shows the value: "N". */
  readonly hint?: string;
  /** In the help on a line with others, without its description. */
  readonly rare?: true;
  /** Shown and recorded nowhere. */
  readonly secret?: true;
}

const setting = <const S extends v.GenericSchema<FileValue, unknown>>(
  kind: S,
  fallback: NoInfer<v.InferInput<S>>,
  facts: SettingFacts,
) => v.pipe(v.optional(kind, fallback as never), v.description(facts.about), v.metadata({ ...facts }));

/** One without a default. */
const open = <const S extends v.GenericSchema<FileValue, unknown>>(kind: S, facts: SettingFacts) =>
  v.pipe(v.optional(kind), v.description(facts.about), v.metadata({ ...facts }));

const MiB = 2 ** 20;
const GiB = 1024 * MiB;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const run = v.strictObject({
  agents: open(integer(1, limits.agentsMax), {
    about: "workers alive at once",
    unset: "1; with --tasks two per core",
    env: ["CFN_MAX_AGENTS"],
    hint: "N",
  }),
  topology: setting(choice(["auto", "flat", "hybrid"]), "auto", {
    about: `auto: hybrid from ${limits.hybridFromWorkers} workers or with K, else flat`,
    env: ["CFN_TOPOLOGY"],
    hint: "T",
  }),
  coordinators: open(integer(1, limits.coordinatorsMax), {
    about: "hybrid: how many",
    unset: `${limits.coordinatorsDefault}; with --agents one per core`,
    env: ["CFN_COORDINATORS"],
    hint: "K",
  }),
  workers_per_coordinator: open(integer(1, limits.agentsMax), {
    about: "hybrid: each one's team",
    unset: String(limits.workersPerCoordinatorDefault),
    env: ["CFN_WORKERS_PER_COORDINATOR"],
    hint: "W",
  }),
  timeout: open(span(1, limits.timeoutMsMax), { about: "end a task after this time", unset: "never", hint: "D" }),
  retries: setting(integer(0, limits.retriesMax), 0, { about: "run a failed task up to N times more", hint: "N" }),
  halt: setting(choice(["never", "soon", "now"]), "never", {
    about: "after a failure: go on, start no more, or end all",
    hint: "H",
  }),
  grace: setting(span(0, HOUR_MS), formatDuration(limits.killGraceMs), {
    about: "what is to end has this long from TERM to KILL",
    hint: "D",
    rare: true,
  }),
  time_limit: open(span(1, limits.runTimeMsMax), {
    about: "end the whole run after this time",
    unset: "never",
    env: ["CFN_MAX_COORDINATION_TIME"],
  }),
  memfree: open(size(1, 2 ** 50), {
    about: "start no agent while less memory is available",
    unset: "off",
    hint: "SIZE",
    rare: true,
  }),
  load: open(loadMark(limits.agentsMax), {
    about: "start no agent above this load average (P% of the cores)",
    unset: "off",
    hint: "N",
    rare: true,
  }),
  pressure: open(decimal(0.01, 100), {
    about: "start no agent above this pressure, percent (/proc/pressure)",
    unset: "off",
    hint: "N",
    rare: true,
  }),
  listen: open(address(), {
    about: "serve the state of the run over HTTP there",
    unset: "off",
    hint: "ADDR",
    rare: true,
  }),
});

const bus = v.strictObject({
  base_dir: open(absolutePath(), {
    about: "the directory for buses",
    unset: "/dev/shm/cfn, or cfn-UID but for root",
    env: ["CFN_MESSAGE_BASE_DIR"],
  }),
  bytes: setting(size(limits.busBytesLeast, limits.busBytesMost), formatBytes(limits.busBytes), {
    about: "all messages of a bus; never more than half of what is free",
  }),
  shards: open(integer(1, limits.shardsMax), {
    about: "in how many parts, each with a lock, a bus is cut",
    unset: `${limits.shardsDefault}, fewer for few agents, little room`,
  }),
  inbox_messages: setting(integer(1, limits.inboxMessagesMost), limits.inboxMessages, {
    about: "messages in one inbox; who sends more waits",
    env: ["CFN_MAX_INBOX_SIZE", "MAX_INBOX_SIZE"],
  }),
  inbox_bytes: setting(size(2 * limits.payloadBytes, limits.inboxBytesMost), formatBytes(limits.inboxBytes), {
    about: "bytes in one inbox: two of the largest payloads at least",
  }),
  send_timeout: setting(span(0, limits.timeoutMsMax), formatDuration(limits.sendTimeoutMs), {
    about: "how long send and reply wait for space, without --timeout",
  }),
  sender_rate: setting(decimal(0, limits.senderPerSecondMost), limits.senderPerSecond, {
    about: "data messages a second of each sender, less under load; 0: any",
  }),
});

const metrics = v.strictObject({
  enabled: setting(truth(), true, { about: "write the metrics of a run beside its journal" }),
  interval: setting(span(100, HOUR_MS), formatDuration(limits.metricsIntervalMs), {
    about: "a line of figures so often",
  }),
  file_bytes: setting(size(64 * 1024, GiB), formatBytes(limits.metricsFileBytes), {
    about: "from this size on a file is rotated",
  }),
  files: setting(integer(1, 100), limits.metricsFiles, { about: "so many files of each process are kept" }),
});

const health = v.strictObject({
  interval: setting(span(100, HOUR_MS), formatDuration(limits.healthIntervalMs), {
    about: "the state of every agent is judged so often",
    env: ["CFN_HEALTH_CHECK_INTERVAL"],
  }),
  stopped_after: setting(span(100, DAY_MS), formatDuration(limits.stoppedAfterMs), {
    about: "stopped for so long, an agent is unhealthy",
  }),
  stalled_after: setting(span(1000, 30 * DAY_MS), formatDuration(limits.stalledAfterMs), {
    about: "without CPU time and output for so long, an agent is degraded",
  }),
});

const alert = v.strictObject({
  delivery_min: setting(decimal(0, 1), 0.95, { about: "alert when a smaller part of the messages was delivered" }),
  coordination_max: open(span(1, 30 * DAY_MS), { about: "alert when a run takes longer", unset: "off" }),
  inbox_max: setting(decimal(0, 1), 0.8, { about: "alert when an inbox is filled beyond this part" }),
  bus_max: setting(decimal(0, 1), 0.85, { about: "alert when the bus is filled beyond this part" }),
  fds_max: setting(decimal(0, 1), 0.8, { about: "alert when more than this part of the descriptors is open" }),
  unhealthy: setting(truth(), true, { about: "alert when an agent is unhealthy" }),
  command: open(command(), { about: "run for each alert, with it as JSON on stdin", unset: "none" }),
  command_timeout: setting(span(100, 10 * 60_000), "5s", { about: "end that command after this time" }),
});

const serve = v.strictObject({
  listen: setting(address(), `127.0.0.1:${limits.servePort}`, { about: "where cfn serve listens", hint: "ADDR" }),
  token: open(token(limits.serveTokenBytesLeast, limits.serveTokenBytesMost), {
    about: "what requests must bring: Authorization: Bearer …",
    unset: "none",
    secret: true,
  }),
  allow_remote: setting(truth(), false, { about: "listen on other than loopback addresses; needs a token" }),
});

const journal = v.strictObject({
  days: setting(integer(1, 3650), limits.journalDays, { about: "journals of runs are kept so long" }),
  keep: setting(integer(1, 100_000), limits.journalsMost, { about: "so many journals are kept" }),
});

export const sections = { run, bus, metrics, health, alert, serve, journal } as const;

/** Names as the program has them, with the unit in those of times and sizes. */
export const settingsSchema = v.strictObject({
  run: v.pipe(
    v.optional(run, {}),
    v.transform(({ workers_per_coordinator, timeout, grace, time_limit, memfree, pressure, ...same }) => ({
      ...same,
      workersPerCoordinator: workers_per_coordinator,
      timeoutMs: timeout,
      graceMs: grace,
      timeLimitMs: time_limit,
      memfreeBytes: memfree,
      pressurePercent: pressure,
    })),
  ),
  bus: v.pipe(
    v.optional(bus, {}),
    v.transform(({ base_dir, bytes, shards, inbox_messages, inbox_bytes, send_timeout, sender_rate }) => ({
      baseDir: base_dir,
      busBytes: bytes,
      shards,
      inboxMessages: inbox_messages,
      inboxBytes: inbox_bytes,
      sendTimeoutMs: send_timeout,
      senderRate: sender_rate,
    })),
  ),
  metrics: v.pipe(
    v.optional(metrics, {}),
    v.transform(({ enabled, interval, file_bytes, files }) => ({
      enabled,
      intervalMs: interval,
      fileBytes: file_bytes,
      files,
    })),
  ),
  health: v.pipe(
    v.optional(health, {}),
    v.transform(({ interval, stopped_after, stalled_after }) => ({
      intervalMs: interval,
      stoppedAfterMs: stopped_after,
      stalledAfterMs: stalled_after,
    })),
  ),
  alert: v.pipe(
    v.optional(alert, {}),
    v.transform((given) => ({
      deliveryMin: given.delivery_min,
      coordinationMaxMs: given.coordination_max,
      inboxMax: given.inbox_max,
      busMax: given.bus_max,
      fdsMax: given.fds_max,
      unhealthy: given.unhealthy,
      command: given.command,
      commandTimeoutMs: given.command_timeout,
    })),
  ),
  serve: v.pipe(
    v.optional(serve, {}),
    v.transform(({ listen, token: secret, allow_remote }) => ({ listen, token: secret, allowRemote: allow_remote })),
  ),
  journal: v.optional(journal, {}),
});

export type Settings = v.InferOutput<typeof settingsSchema>;

type Sections = typeof sections;

/** "run.agents", "bus.base_dir", … */
export type SettingKey = {
  [S in keyof Sections & string]: `${S}.${keyof Sections[S]["entries"] & string}`;
}[keyof Sections & string];

export interface Setting extends SettingFacts, KindFacts {
  readonly key: SettingKey;
  readonly section: keyof Sections;
  readonly name: string;
  readonly fallback: FileValue | undefined;
  /** Its variables, the preferred one first. */
  readonly variables: readonly string[];
  /** "--agents", where there is one. */
  readonly option: string | undefined;
  /** Whether a file may hold this. */
  readonly accepts: (value: unknown) => boolean;
}

interface Entry {
  readonly wrapped: v.GenericSchema;
  readonly default: FileValue | undefined;
}

const settingOf = (section: string, name: string, schema: v.GenericSchema): Setting => {
  const { wrapped, default: fallback } = schema as v.GenericSchema & Entry;
  const facts = v.getMetadata(schema as never) as SettingFacts;
  const kind = v.getMetadata(wrapped as never) as KindFacts;
  return {
    ...kind,
    ...facts,
    key: `${section}.${name}` as SettingKey,
    section: section as keyof Sections,
    name,
    fallback,
    variables: facts.env ?? [`CFN_${section}_${name}`.toUpperCase()],
    option: facts.hint === undefined ? undefined : `--${name.replaceAll("_", "-")}`,
    accepts: (value) => v.is(wrapped, value),
  };
};

/** Every setting, in the order of the sections. */
export const settingList: readonly Setting[] = Object.entries(sections).flatMap(([section, { entries }]) =>
  Object.entries(entries).map(([name, schema]) => settingOf(section, name, schema)),
);

const byKey = new Map<string, Setting>(settingList.map((entry) => [entry.key, entry]));

export function settingNamed(key: SettingKey): Setting {
  return byKey.get(key) as Setting;
}

/** For a name from outside. */
export function findSetting(key: string): Setting | undefined {
  return byKey.get(key);
}
