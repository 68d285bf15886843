/**
 * Every bound of the program, unit last in the name. Relations between them are asserted when the module loads, so a
 * change that breaks one fails the first test and not the first full inbox.
 */
import { assert } from "./assert.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

export const limits = {
  // Messages
  agentIdChars: 63,
  payloadBytes: 1 * MiB,
  payloadDepth: 64,
  typeChars: 64,
  batchLineBytes: 1 * MiB + 64 * KiB,
  batchMessages: 4096,
  batchBlockMessages: 512,
  /** Sequence numbers are 32-bit words on the bus. */
  sequenceMost: 2 ** 32 - 1,

  // Bus
  shardsDefault: 8,
  /** So many agents do with two shards. */
  agentsOnFewShards: 16,
  shardsMax: 64,
  segmentBytes: 256 * KiB,
  segmentBytesSmall: 64 * KiB,
  segmentsPerShard: 512,
  recordBytes: 16 * KiB,
  inboxMessages: 1000,
  controlMessages: 16_384,
  inboxBytes: 16 * MiB,
  /** What a bus may be made with. */
  inboxMessagesMost: 100_000,
  inboxBytesMost: 1024 * MiB,
  busBytes: 256 * MiB,
  busBytesLeast: 3 * MiB,
  busBytesMost: 64 * 1024 * MiB,
  /** Inodes of a bus without agents, and of each agent with its output. */
  busFilesLeast: 160,
  agentFiles: 4,
  agentsPerShard: 8192,
  slotsPerGrowth: 128,
  pairsInitial: 512,
  pairsPerShard: 262_144,
  /** Files of damaged bytes kept for a person, of each shard. */
  damagedKept: 8,

  // Waiting
  lockWaitMs: 10_000,
  lockStoppedHolderMs: 50,
  pollMs: 200,
  fullRetryMs: 4,
  sendTimeoutMs: 30_000,
  askTimeoutMs: 60_000,
  /** How long `recv` waits for a pipe's reader to take a line before it counts it as taken. */
  handOverMs: 1000,
  /** How long `recv` without --wait waits for its turn at an inbox. */
  inboxTurnMs: 2000,
  inboxRetryMs: 10,
  guestsSpread: 64,
  guestsMost: 4096,
  sendRetryMostMs: 400,
  /** A waiting sender tries once there is room for what the reader takes in so long (`cmd/turns.ts`). */
  turnMs: 50,

  // Rings of senders that wait for each other (`bus/waits.ts`)
  /** A sender that has found an inbox full for so long says for whom it waits, and looks so often whether that is a ring. */
  ringAfterMs: 1000,
  ringLookMs: 500,
  /** Nothing has been taken from any inbox of a ring for so long. */
  ringQuietMs: 2000,
  /** Each further one of a ring gives up so much later. */
  ringRankMs: 2000,
  /** Waiting agents that are looked at, and recipients that each of them names. */
  ringMost: 256,
  ringRecipients: 32,

  // Data messages a second that a loaded machine permits each sender. 0 is no limit: the start of 708 agents alone puts
  // nine tenths of its time under CPU pressure, and a limit by default would slow the run that it is to protect.
  senderPerSecond: 0,
  /** No load brings it below this: as often as a sender that waits for space tries in any case. */
  senderPerSecondLeast: 10,
  senderPerSecondMost: 100_000,
  /** The pressure from which it falls. */
  pacingFromPercent: 50,
  pacingMs: 1000,
  /** A limit that nobody has renewed for so long is none: whoever set it is dead. */
  pacingFreshMs: 5000,

  // Swarm
  agentsMax: 20_000,
  coordinatorsMax: 64,
  coordinatorsDefault: 7,
  workersPerCoordinatorDefault: 100,
  /**
   * From this many workers on, topology `auto` is hybrid: below, starting coordinators costs more than they save; above,
   * agents start from several processes at once, and a coordinator that dies takes a part of the swarm with it.
   */
  hybridFromWorkers: 500,
  retriesMax: 1000,
  taskBytes: 1 * MiB,
  taskInputBytes: 512 * KiB,
  yamlBytes: 16 * MiB,
  failuresListed: 10_000,
  resultsHeld: 10_000,
  jsonOutputBytes: 1 * MiB,
  runTimeMsMax: 24 * 24 * 3600 * 1000,
  timeoutMsMax: 30 * 24 * 3600 * 1000,
  outputBytes: 256 * MiB,
  heartbeatMs: 1000,
  /** How long an agent's state has lasted before it is written; one that waits for nothing but the start of its process. */
  stateMs: 20,
  passingStateMs: 1000,
  killGraceMs: 2000,
  graceMsMax: 3600 * 1000,
  /** Signals of one kind so close together are one: `timeout` and terminals send them to a process and to its group. */
  signalTwiceMs: 100,
  /** What a run that is stopped still waits, beyond its grace, for whoever reads its output. */
  outputEndMs: 500,
  outputLookMs: 50,
  /** How long a line for stderr waits for whoever reads that. */
  logWaitMs: 1000,
  /** At the end of a run: for an inbox that somebody else reads, and for senders to take what is returned to them. */
  drainWaitMs: 500,
  returnWaitMs: 250,
  undeliveredListed: 1000,
  undeliveredBytes: 256 * MiB,
  /** How long `cfn stop` waits for the end of a run, beyond the grace. */
  stopWaitMs: 30_000,
  stopStuckMs: 1000,
  stopLookMs: 10,
  coordinatorEndMs: 5000,
  /** A coordinator that is stopped for so long, or whose heartbeat is so old, is ended and its team taken over. */
  coordinatorStoppedMs: 2000,
  coordinatorHungMs: 10_000,
  coordinatorLookMs: 500,
  restartFirstMs: 1000,
  restartMostMs: 60_000,
  restartsMost: 7,
  /** Exits of children that nobody has asked for yet. */
  exitsKept: 8192,
  agentSpaceBytes: 8 * KiB,
  descriptorsPerProcess: 256,
  spoolBytesLeast: 1024 * MiB,
  environmentStringBytes: 128 * KiB,
  /** So many programs a flat swarm starts before it has a thread for that. */
  launchesWithoutThread: 16,
  spawnTries: 12,
  spawnBackoffMs: 20,
  spawnBackoffMsMax: 2000,
  resultsPerBatch: 256,
  resultRetryMs: 20,
  mailAhead: 16,
  seatsPerTick: 64,
  endWaitMs: 1000,
  homeRetryMs: 5,
  homeWaitMs: 2000,

  /** Between closing and opening again, as a share of the mark. */
  admissionMargin: 0.1,
  /** That no agent starts is said once it has lasted so long, and then so often. */
  admissionWarnAfterMs: 5000,
  admissionWarnEveryMs: 60_000,

  // Health
  healthIntervalMs: 1000,
  /** How often an onlooker that takes no lock otherwise checks a whole shard under it. */
  onlookerAuditMs: 1000,
  stoppedAfterMs: 10_000,
  stalledAfterMs: 5 * 60 * 1000,
  /** Agents whose processes are looked at in one tick. */
  samplesPerTick: 64,
  /** A loop that turns several times a second and has not for so long: a sign, and no more. */
  beatLateMs: 5000,
  /** How long an observer waits for a late beat before it believes that it is late. */
  beatSecondLookMs: 500,
  /** How long it waits for the host of a process that has just died to say how. */
  deathSecondLookMs: 30,

  // Endpoint
  servePort: 7708,
  serveHeadBytes: 8 * KiB,
  serveConnections: 64,
  /** For the request to have come, and for the response to have gone. */
  serveRequestMs: 5000,
  serveViewMs: 50,
  serveTokenBytesLeast: 16,
  serveTokenBytesMost: 4096,

  // Journals
  journalDays: 7,
  journalsMost: 1000,
  journalLineBytes: 16 * MiB,
  /** What a power cut can take of a journal. */
  journalSyncMs: 1000,
  journalSyncWaitMs: 200,
  /** How long `--resume` waits for what still ends the processes of a killed run. */
  journalOwnerWaitMs: 10_000,
  journalsNamed: 10,
  resultsPerFlush: 256,

  // Configuration
  configBytes: 256 * KiB,
  /** Longer ones are read, but nobody says in which line a key stands. */
  configLinesLocated: 1000,
  configProblemsListed: 20,
  // Metrics
  /** What a SIGKILL can take of them. */
  metricsFlushMs: 100,
  metricsBatchEvents: 1024,
  metricsIntervalMs: 1000,
  metricsFileBytes: 16 * MiB,
  metricsFiles: 4,
  metricsFilesMost: 1000,
  /** A longer line is damage: task ids are bounded by the task. */
  metricsLineBytes: 2 * MiB,
  /** Places in metrics files that are named because nothing could be read there. */
  metricsPlacesNamed: 10,
  slowestAgentsShown: 5,
  trendRuns: 10,

  // Alerts
  alertLookMs: 1000,
  /** Looks in a row beyond the mark until an alert fires, and well on the good side until it clears. */
  alertFireLooks: 2,
  alertClearLooks: 3,
  /** Of the mark: below it an alert clears. */
  alertClearShare: 0.875,
  alertSubjects: 1000,
  alertsReported: 1000,
  alertsSaid: 100,
  alertCommands: 100,
  alertQueue: 32,
  /** From TERM to KILL. */
  alertKillMs: 1000,

  // Doctor
  doctorAgentsDefault: 100,
  doctorNamed: 5,
  /** Below this, what a run writes beside its bus may soon find no room. */
  spoolBytesTight: 64 * MiB,
  /** What a process of cfn takes, and a shell. */
  hostMemoryBytes: 80 * MiB,
  agentMemoryBytes: 1 * MiB,
  smokeAgents: 3,
  smokeMs: 20_000,
  /** Until a guardian has cleared up. */
  smokeClearMs: 5000,
  /** A base may vanish while it is looked at: runs that end remove an empty one. */
  doctorTries: 5,

  // Chaos
  chaosAgentsDefault: 50,
  chaosAgentsMost: 2000,
  chaosDurationMs: 10_000,
  chaosDurationMsLeast: 1000,
  chaosDurationMsMost: 600 * 1000,
  chaosTasksMost: 200_000,
  /** Until the first agent is up. */
  chaosStartMs: 30_000,
  /** Until everything of a run whose master was killed has ended: what is left then is an orphan. */
  chaosMasterGoneMs: 10_000,
  /** What outlives a run that has returned by more than this is an orphan. */
  chaosGraceMs: 1000,
  /** A run may take this much, beside three times the duration, until it counts as hung. */
  chaosFinishMs: 60_000,
  chaosExamples: 10,
} as const;

assert(limits.recordBytes * 4 <= limits.segmentBytesSmall, "a segment holds several records of the largest size");
assert(limits.inboxBytes > 2 * limits.payloadBytes, "an inbox takes at least two of the largest payloads");
assert(limits.segmentBytes < 1 << 20, "an offset in 8-byte words fits 17 bits of a position");
assert(limits.shardsDefault <= limits.shardsMax, "the default shard count is allowed");
assert(limits.beatLateMs < limits.coordinatorHungMs, "a beat is late before it counts as missing");
assert(limits.pollMs < limits.healthIntervalMs, "a host's tick comes several times in an interval");
assert(limits.taskInputBytes < limits.taskBytes && limits.taskBytes <= limits.payloadBytes, "a task fits a message");
