/** What one run's metrics say in a line, for comparing runs. */
import { closeFile, fileSize, O, openFile, readInto, seekTo } from "../os/file.ts";
import { masterWriter, type RunEndedEvent } from "./events.ts";
import { readEvent } from "./schema.ts";

export interface TrendLine {
  readonly run_id: string;
  /** Unix seconds. */
  readonly started_at: number;
  readonly topology: "flat" | "hybrid";
  readonly workers: number;
  /** Absent where the run was killed, or has not ended. */
  readonly status?: RunEndedEvent["status"];
  readonly tasks?: number;
  readonly coordination_time_ms?: number;
  readonly delivery_rate?: number;
  readonly tasks_per_second?: number;
}

const decoder = new TextDecoder();
/** A header and the event after it; an event of the run's end, which is some four KiB. */
const HEAD_BYTES = 4 * 1024;
const TAIL_BYTES = 64 * 1024;

/** Reads the beginning and the end of the master's file alone. Undefined where it has neither. */
export function trendOf(folder: string, runId: string): TrendLine | undefined {
  const fd = openFile(`${folder}/${masterWriter}.jsonl`, O.RDONLY | O.NOFOLLOW);
  if (fd < 0) return undefined;
  const last = linesAt(fd, Math.max(0, fileSize(fd) - TAIL_BYTES), TAIL_BYTES).at(-1);
  const first = linesAt(fd, 0, HEAD_BYTES).at(1);
  closeFile(fd);
  const ended = readEvent(last ?? "")?.event;
  if (ended?.event === "run_ended") return endedLine(runId, ended);
  const started = readEvent(first ?? "")?.event;
  if (started?.event !== "run_started") return undefined;
  const { topology, workers, t } = started;
  return { run_id: runId, started_at: t, topology, workers };
}

function endedLine(run_id: string, ended: RunEndedEvent): TrendLine {
  const { t, topology, agents, status, tasks, coordination_time_ms, delivery } = ended;
  return {
    run_id,
    started_at: Math.round(t * 1000 - coordination_time_ms) / 1000,
    topology,
    workers: agents.workers,
    status,
    tasks: tasks.total,
    coordination_time_ms,
    delivery_rate: delivery.rate,
    tasks_per_second: throughput(ended),
  };
}

/** Tasks with a result of their own a second, those of earlier executions left out. */
export function throughput({ tasks, earlier, coordination_time_ms }: RunEndedEvent): number {
  const done = tasks.completed + tasks.failed + tasks.timed_out - earlier;
  return coordination_time_ms > 0 ? Math.round((done * 1e6) / coordination_time_ms) / 1000 : 0;
}

/** Whole lines only at the end; the first may be half a line. */
function linesAt(fd: number, offset: number, bytes: number): string[] {
  const buffer = new Uint8Array(bytes);
  seekTo(fd, offset);
  const got = Math.max(0, readInto(fd, buffer));
  return decoder.decode(buffer.subarray(0, got)).split("\n").slice(0, -1);
}
