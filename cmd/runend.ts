/** What a run that has ended says, and its exit status. */
import type { RunEnd } from "../src/coordinator/contract.ts";
import type { RunReport } from "../src/coordinator/report.ts";
import { limits } from "../src/limits.ts";
import { formatBytes } from "../src/message/quantity.ts";
import { exitStatus, statusOf, statusOfSignal } from "./exit.ts";
import { say } from "./log.ts";

function undeliveredText(messages: RunReport["messages"]): string {
  const { undelivered, returned, undelivered_file: file, undelivered_unkept: unkept } = messages;
  const what = undelivered === 1 ? "one message was not read" : `${undelivered} messages were not read`;
  const back = returned === 0 ? "" : `, ${returned} of them returned`;
  const lost = `not kept: no journal, no space in it, or beyond ${formatBytes(limits.undeliveredBytes)}`;
  if (file === null) return `${what}${back}: ${lost}`;
  return `${what}${back}: ${file}${unkept === 0 ? "" : `; ${unkept} of them ${lost}`}`;
}

/** `caught`: the first signal that came, 0 if none. `earlier`: how many results a resumed run had. Throws what ended the run early, where that was an error. */
export async function conclude({ report, failure, left }: RunEnd, caught: number, earlier: number): Promise<number> {
  const { orphans_ended: orphans, tasks, failures, messages } = report;
  if (orphans > 0) await say("warn", `ended ${orphans} processes that agents had left behind`);
  if (left.length > 0) await say("warn", `processes that cannot be ended: ${left.join(", ")}`);
  if (messages.undelivered > 0) await say("warn", undeliveredText(messages));
  if ((failure as { code?: unknown } | undefined)?.code === "EPIPE") return exitStatus.outputClosed;
  if (tasks.total === 0 && failure === undefined && caught === 0) await say("warn", "there were no tasks");
  if (earlier > 0 && tasks.total === earlier && failure === undefined && caught === 0) {
    await say("info", `nothing was left to do: all ${earlier} tasks have their result`);
  }
  if (tasks.completed < tasks.total) {
    const first = failures[0];
    const why = first && `, the first: task ${first.task_id}: ${first.detail ?? `exit status ${first.exit_code}`}`;
    const retries = tasks.retried > 0 ? ` (${tasks.retried} retries)` : "";
    await say("warn", `${tasks.total - tasks.completed} of ${tasks.total} tasks did not succeed${retries}${why ?? ""}`);
  }
  if (failure !== undefined) throw failure;
  if (caught > 0) return statusOfSignal(caught);
  if (report.status === "timed_out") return statusOf("timed_out");
  return report.status === "completed" && left.length === 0 ? exitStatus.success : exitStatus.taskFailed;
}
