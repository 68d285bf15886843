/** The board of a run: what whoever looks on from outside reads of it (`src/bus/board.ts`). */
import { makeBoard, runPhases } from "../src/bus/board.ts";
import type { RunObserver } from "../src/coordinator/observer.ts";
import type { Shape } from "../src/coordinator/shape.ts";
import { limits } from "../src/limits.ts";
import { systemMs, unixSeconds } from "../src/os/clock.ts";
import { ownIdentity, pidNamespace } from "../src/os/process.ts";

interface BoardTimes {
  readonly stoppedAfterMs: number;
  readonly stalledAfterMs: number;
}

/** `total`: how many tasks there are, where that is known. Undefined where there is no room for it: no run depends on it. */
export function runBoard(
  busDir: string,
  shape: Shape,
  total: number | undefined,
  times: BoardTimes,
): RunObserver | undefined {
  const { pid, startTicks } = ownIdentity();
  const board = makeBoard(busDir, {
    beat_at: systemMs(),
    pid,
    start_ticks: startTicks,
    pid_namespace: pidNamespace(),
    phase: runPhases.indexOf("starting"),
    started_at: unixSeconds(),
    hybrid: shape.topology === "hybrid" ? 1 : 0,
    coordinators: shape.teams.length,
    workers: shape.workers,
    tasks_total: total ?? -1,
    stopped_after_ms: times.stoppedAfterMs,
    stalled_after_ms: times.stalledAfterMs,
  });
  if (board === undefined) return undefined;
  // Also while the run ends and nobody calls `look` any more.
  const beating = setInterval(() => board.beat(systemMs()), limits.pollMs);
  const ready = new Set<string>();
  let failovers = 0;
  const tell = (coordinator: string, takes: boolean): void => {
    if (takes) ready.add(coordinator);
    else ready.delete(coordinator);
    board.ready(Number(coordinator.slice(1)) - 1, takes);
    if (ready.size > 0) board.set({ phase: runPhases.indexOf("running") });
  };
  return {
    ready: (coordinator) => tell(coordinator, true),
    attempt: (_, waits) => {
      if (waits === undefined) return;
      board.waited("task", waits.task);
      board.waited("result", waits.result);
    },
    failover: ({ coordinator }) => {
      tell(coordinator, false);
      board.set({ failovers: ++failovers });
    },
    look: ({ counts, total: read, active, earlier, elapsedMs, mesh, hierarchical, ending, done }) => {
      const early = ready.size === 0 ? "starting" : "running";
      board.set({
        beat_at: systemMs(),
        phase: runPhases.indexOf(done ? "stopping" : ending ? "draining" : early),
        elapsed_ms: elapsedMs,
        tasks_read: counts.total,
        tasks_total: read ?? total ?? -1,
        completed: counts.completed,
        failed: counts.failed,
        timed_out: counts.timed_out,
        cancelled: counts.cancelled,
        retried: counts.retried,
        active,
        earlier,
        mesh_expected: mesh.expected,
        mesh_delivered: mesh.delivered,
        mesh_duplicates: mesh.duplicates,
        mesh_withdrawn: mesh.withdrawn,
        hierarchical_expected: hierarchical.expected,
        hierarchical_delivered: hierarchical.delivered,
        hierarchical_duplicates: hierarchical.duplicates,
        hierarchical_withdrawn: hierarchical.withdrawn,
      });
    },
    ended: () => {
      clearInterval(beating);
      board.set({ beat_at: systemMs(), phase: runPhases.indexOf("over") });
    },
  };
}
