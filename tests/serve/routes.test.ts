import { expect, test } from "bun:test";
import { type BoardRead, runPhases } from "../../src/bus/board.ts";
import type { Health } from "../../src/observe/judge.ts";
import type { AgentView, HostView, RunView } from "../../src/observe/runview.ts";
import { notFound, routeOf } from "../../src/serve/routes.ts";

const well: Health = { state: "healthy", reason: "at work" };
const waits = { counts: Array.from({ length: 14 }, (_, n) => n), sumMs: 1234 };
const board = {
  phase: runPhases.indexOf("running"),
  tasks_total: 10,
  tasks_read: 8,
  completed: 4,
  failed: 1,
  timed_out: 0,
  cancelled: 0,
  retried: 0,
  active: 3,
  earlier: 0,
  elapsed_ms: 1000,
  failovers: 0,
  started_at: 1_700_000_000,
  coordinators: 2,
  hybrid: 1,
  ready: [true, true],
  waits: { task: waits, result: waits },
} as unknown as BoardRead;
const master: HostView = { id: "master", role: "master", pid: 1, beatAgeMs: 100, health: well };
const agent = (id: string, health: Health): AgentView => ({
  id,
  team: "c1",
  doing: "running",
  pid: 5,
  seq: 1,
  attempt: 1,
  startedAt: 1,
  cpuMs: 10,
  outputBytes: 3,
  depth: { data: 2, control: 1 },
  health,
});
const view = (changes: Partial<RunView> = {}): RunView => ({
  runId: "abc",
  busDir: "/dev/shm/cfn/run-abc",
  busBytes: 1000,
  busBytesMost: 2000,
  board,
  phase: "running",
  hosts: [master],
  agents: [agent("w1", well), agent('w"2', { state: "dead", reason: "killed by signal 9" })],
  delivery: { expected: 10, delivered: 8, duplicates: 0, withdrawn: 1 },
  suspicion: "none",
  ...changes,
});
const get = (target: string, of: RunView | undefined) => routeOf(target)?.answer(of);

test("a run whose master is well is alive, whatever its agents do", () => {
  expect(get("/healthz", view())).toMatchObject({ status: 200, body: "ok\n" });
  expect(get("/healthz?verbose", view())?.status).toBe(200);
  const hung = { ...master, health: { state: "degraded", reason: "stopped" } as const };
  expect(get("/healthz", view({ hosts: [hung] }))).toMatchObject({ status: 503, body: "the master: stopped\n" });
  expect(get("/healthz", undefined)?.status).toBe(503);
});

test("it is ready while all its coordinators take tasks", () => {
  expect(get("/readyz", view())?.status).toBe(200);
  const one = view({ board: { ...board, ready: [true, false] } });
  expect(get("/readyz", one)).toMatchObject({ status: 503, body: "c2 takes no tasks\n" });
  expect(get("/readyz", view({ phase: "draining" }))).toMatchObject({ status: 503, body: "the run is draining\n" });
  expect(get("/readyz", undefined)?.status).toBe(503);
});

test("status and agents are JSON", () => {
  const status = JSON.parse(get("/status", view())?.body ?? "");
  expect(status).toMatchObject({ schema: "cfn.status/1", run_id: "abc", tasks: { total: 10, done: 5 } });
  expect(status.health).toMatchObject({ state: "dead", agents: { healthy: 1, dead: 1 } });
  expect(JSON.parse(get("/agents", view())?.body ?? "")).toMatchObject([
    { id: "w1", health: "healthy", pid: 5 },
    { health: "dead", reason: "killed by signal 9" },
  ]);
  expect(get("/agents", undefined)?.body).toBe("[]\n");
});

test("metrics are what promtool accepts, with a run and without one", () => {
  for (const of of [view(), view({ board: undefined, runId: undefined }), undefined]) {
    const text = get("/metrics", of)?.body ?? "";
    expect(text).toContain("cfn_runs ");
    if (Bun.which("promtool") === null) continue;
    const checked = Bun.spawnSync(["promtool", "check", "metrics"], { stdin: Buffer.from(text) });
    expect(`${checked.stdout}${checked.stderr}`).toBe("");
    expect(checked.exitCode).toBe(0);
  }
  const text = get("/metrics", view())?.body ?? "";
  expect(text).toContain('cfn_agents{state="dead"} 1\n');
  expect(text).toContain('cfn_tasks_total{outcome="completed"} 4\n');
  expect(text).toContain("cfn_messages_expected_total 11\n");
  expect(text).toContain('cfn_inbox_depth{chain="data"} 4\n');
  expect(text).toContain('cfn_task_queue_wait_seconds_bucket{le="+Inf"} 91\n');
});

test("other paths are not there, those of an object neither", () => {
  expect(routeOf("/nope")).toBeUndefined();
  expect(routeOf("/constructor")).toBeUndefined();
  expect(routeOf("/healthz/")).toBeUndefined();
  expect(notFound("/nope").status).toBe(404);
  expect(notFound("/").body).toContain("/metrics");
});
