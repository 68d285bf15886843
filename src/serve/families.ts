/** A living run as metrics. Pure. */
import { type BoardRead, waitBucketsMs } from "../bus/board.ts";
import type { HistogramBucket, MetricFamily, MetricSample } from "../metrics/exposition.ts";
import { agentCounts, type RunView } from "../observe/runview.ts";

type Row = readonly [name: string, help: string, samples: readonly MetricSample[]];

const one = (value: number): MetricSample[] => [{ value }];

/** One sample for each member, labelled by its name. */
const by = (label: string, values: Readonly<Record<string, number>>): MetricSample[] =>
  Object.entries(values).map(([name, value]) => ({ labels: { [label]: name }, value }));

/** Without a run only that there is none. */
export function viewFamilies(view: RunView | undefined): MetricFamily[] {
  const board = view?.board;
  const rows: Row[] = [
    ["cfn_runs", "Runs under way that this endpoint sees: 0 or 1.", one(board === undefined ? 0 : 1)],
  ];
  if (view !== undefined) rows.push(...agentRows(view));
  if (view !== undefined && board !== undefined) rows.push(...runRows(view, board));
  const families = rows.map(
    ([name, help, samples]): MetricFamily => ({
      name,
      help,
      type: name.endsWith("_total") ? "counter" : "gauge",
      samples,
    }),
  );
  return board === undefined ? families : [...families, ...waitFamilies(board)];
}

function agentRows(view: RunView): Row[] {
  const { agents } = view;
  const depth = (chain: "data" | "control"): number => agents.reduce((sum, agent) => sum + agent.depth[chain], 0);
  const deepest = (chain: "data" | "control"): number =>
    agents.reduce((most, agent) => Math.max(most, agent.depth[chain]), 0);
  const running = agents.filter(({ doing }) => doing === "running").length;
  return [
    ["cfn_agents", "Agents by health.", by("state", agentCounts(view))],
    ["cfn_agents_running", "Agents whose process runs.", one(running)],
    [
      "cfn_inbox_depth",
      "Messages in all agents' inboxes that are not acknowledged.",
      by("chain", { data: depth("data"), control: depth("control") }),
    ],
    [
      "cfn_inbox_depth_max",
      "The same, of the agent that has most.",
      by("chain", { data: deepest("data"), control: deepest("control") }),
    ],
    ["cfn_bus_bytes", "What messages and index occupy.", one(view.busBytes)],
    ["cfn_bus_limit_bytes", "What they may occupy.", one(view.busBytesMost)],
  ];
}

function runRows({ runId, hosts, delivery }: RunView, board: BoardRead): Row[] {
  const { completed, failed, timed_out, cancelled, retried, active, tasks_read, tasks_total } = board;
  const topology = board.hybrid === 1 ? "hybrid" : "flat";
  const ready = board.ready.filter((takes) => takes).length;
  return [
    ["cfn_run_info", "The run, always 1.", [{ labels: { run_id: runId ?? "", topology }, value: 1 }]],
    ["cfn_run_start_time_seconds", "When it began, Unix time.", one(board.started_at)],
    ["cfn_tasks_total", "Tasks that are done, by outcome.", by("outcome", { completed, failed, timed_out, cancelled })],
    ["cfn_task_retries_total", "Attempts after the first.", one(retried)],
    ["cfn_tasks_read_total", "Tasks that were read from the list.", one(tasks_read)],
    ["cfn_tasks_expected", "Tasks of the whole list, once that is known.", tasks_total < 0 ? [] : one(tasks_total)],
    ["cfn_tasks_active", "Tasks that are with a coordinator.", one(active)],
    [
      "cfn_messages_expected_total",
      "Messages of the run that were to be received, those withdrawn among them.",
      one(delivery.expected + delivery.withdrawn),
    ],
    ["cfn_messages_delivered_total", "Those that were, counted where they are received.", one(delivery.delivered)],
    ["cfn_messages_duplicated_total", "Those that came more than once.", one(delivery.duplicates)],
    ["cfn_messages_withdrawn_total", "Those not expected any more: a coordinator died.", one(delivery.withdrawn)],
    ["cfn_coordinators", "Coordinators.", one(board.coordinators)],
    ["cfn_coordinators_ready", "Those that take tasks.", one(ready)],
    ["cfn_failovers_total", "Coordinators that died.", one(board.failovers)],
    [
      "cfn_beat_age_seconds",
      "Since the event loop of a process of the run turned.",
      hosts.map(({ id, beatAgeMs }) => ({ labels: { id }, value: beatAgeMs / 1000 })),
    ],
  ];
}

function waitFamilies({ waits }: BoardRead): MetricFamily[] {
  return [
    waitFamily("cfn_task_queue_wait_seconds", "From the publishing of a task to the start of its process.", waits.task),
    waitFamily("cfn_result_wait_seconds", "From the end of a process to the counting of its result.", waits.result),
  ];
}

function waitFamily(name: string, help: string, { counts, sumMs }: BoardRead["waits"]["task"]): MetricFamily {
  let count = 0;
  const buckets = waitBucketsMs.map((ms, n): HistogramBucket => {
    count += counts[n] as number;
    return { le: ms / 1000, count };
  });
  return {
    name,
    help,
    type: "histogram",
    samples: [{ buckets, sum: sumMs / 1000, count: count + (counts[waitBucketsMs.length] as number) }],
  };
}
