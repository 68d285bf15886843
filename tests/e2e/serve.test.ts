/** The HTTP endpoint, on the binary: `cfn serve` beside a run, and `cfn run --listen`. */
import { describe, expect, test } from "bun:test";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { limits } from "../../src/limits.ts";
import type { AgentView } from "../../src/observe/runview.ts";
import { type RunningCommand, startCommand } from "../support/binary.ts";
import { type Swarm, until, withSwarm } from "../support/swarm.ts";

const waitsFor = (file: string): string => `until test -e "${file}"; do sleep 0.05; done`;

interface Answer {
  readonly status: number;
  readonly body: string;
}

interface Served {
  readonly url: string;
  readonly port: number;
  readonly socket: string;
  readonly server: RunningCommand;
  get(path: string, init?: RequestInit): Promise<Answer>;
  /** Asks until it answers so. */
  awaits(path: string, holds: (answer: Answer) => boolean): Promise<Answer>;
}

/** `cfn serve` with these options, until `use` is done: then it is ended by SIGTERM, and must say so. */
async function serving(swarm: Swarm, options: readonly string[], use: (served: Served) => Promise<void>, token = "") {
  const out = `${swarm.directory}/url`;
  const script = `exec "$0" serve ${options.join(" ")} > ${out}`;
  const server = startCommand(["sh", "-c", script, swarm.cfn], {
    env: { ...swarm.env, CFN_SERVE_TOKEN: token },
    timeoutMs: 50_000,
  });
  await until("the address", () => existsSync(out) && statSync(out).size > 0, 30);
  const url = (await Bun.file(out).text()).trim();
  const unix = url.startsWith("unix:") ? { unix: url.slice(5) } : {};
  const get: Served["get"] = async (path, init = {}) => {
    const response = await fetch(`${url.startsWith("unix:") ? "http://localhost" : url}${path}`, { ...init, ...unix });
    return { status: response.status, body: await response.text() };
  };
  const awaits: Served["awaits"] = async (path, holds) => {
    for (const end = Date.now() + 30_000; ; ) {
      const answer = await get(path);
      if (holds(answer)) return answer;
      if (Date.now() > end) throw new Error(`${path} still answers ${JSON.stringify(answer)}`);
    }
  };
  try {
    await use({ url, port: Number(/[0-9]+$/.exec(url)?.[0]), socket: url.slice(5), server, get, awaits });
  } finally {
    server.kill("SIGTERM");
  }
  expect((await server.outcome).code).toBe(143);
}

const agentsOf = ({ body }: Answer) =>
  JSON.parse(body) as (Pick<AgentView, "id" | "pid" | "doing"> & { health: string })[];

test("an endpoint follows the run that is under way, and says when there is none", () =>
  withSwarm((swarm) =>
    serving(swarm, ["--listen", "0"], async ({ get, awaits }) => {
      expect(await get("/readyz")).toEqual({ status: 503, body: "there is no run\n" });
      expect(await get("/agents")).toEqual({ status: 200, body: "[]\n" });
      const go = `${swarm.directory}/go`;
      const run = swarm.start(["--agents", "3", "--", "sh", "-c", waitsFor(go)]);
      await awaits("/readyz", ({ status }) => status === 200);
      expect((await get("/healthz")).status).toBe(200);
      const all = await awaits(
        "/agents",
        (answer) => agentsOf(answer).filter(({ doing }) => doing === "running").length === 3,
      );
      const { pid } = agentsOf(all).find(({ id }) => id === "w2") ?? { pid: 0 };
      process.kill(pid, "SIGKILL");
      const killed = performance.now();
      await awaits("/agents", (answer) => agentsOf(answer).find(({ id }) => id === "w2")?.health === "dead");
      process.stderr.write(`a killed agent was in /agents after ${(performance.now() - killed).toFixed(0)} ms\n`);
      expect((await get("/metrics")).body).toContain('cfn_agents{state="dead"} 1\n');

      process.kill(run.pid, "SIGSTOP");
      const { body } = await awaits("/healthz", ({ status }) => status === 503);
      expect(body).toStartWith("the master: stopped");
      process.kill(run.pid, "SIGCONT");
      await awaits("/healthz", ({ status }) => status === 200);
      writeFileSync(go, "");
      expect((await run.outcome).code).toBe(1);
      expect((await awaits("/readyz", ({ status }) => status === 503)).body).toBe("there is no run\n");
    }),
  ));

test("a run shows itself with --listen, and is refused before it starts where the port is taken", () =>
  withSwarm(async (swarm) => {
    const socket = `${swarm.directory}/socket`;
    const go = `${swarm.directory}/go`;
    const run = swarm.start(["--listen", `unix:${socket}`, "--agents", "2", "--", "sh", "-c", waitsFor(go)]);
    await until("the socket", () => existsSync(socket), 30);
    expect(statSync(socket).mode & 0o077).toBe(0);
    const refused = await swarm.run(["--listen", `unix:${socket}`, "--", "touch", `${swarm.directory}/ran`]);
    expect(refused.code).toBe(69);
    expect(refused.stderr).toContain("it is in use");
    expect(existsSync(`${swarm.directory}/ran`)).toBe(false);
    const get = (path: string) => fetch(`http://localhost${path}`, { unix: socket });
    while ((await get("/readyz")).status !== 200);
    expect(await (await get("/status")).json()).toMatchObject({ phase: "running", workers: { total: 2 } });
    writeFileSync(go, "");
    expect((await run.outcome).code).toBe(0);
    expect(existsSync(socket)).toBe(false);
  }));

describe("an endpoint", () => {
  test("refuses whoever names another host, wants to change something or sends too much", () =>
    withSwarm((swarm) =>
      serving(swarm, ["--listen", "0"], async ({ get, port }) => {
        expect((await get("/healthz", { headers: { host: "evil.example" } })).status).toBe(421);
        expect((await get("/healthz", { headers: { host: `localhost:${port}` } })).status).toBe(503);
        expect((await get("/healthz", { method: "POST", body: "x".repeat(100_000) })).status).toBe(405);
        expect((await get("/healthz", { method: "DELETE" })).status).toBe(405);
        expect((await get("/healthz", { headers: { long: "x".repeat(limits.serveHeadBytes) } })).status).toBe(431);
        expect((await get("/nope")).status).toBe(404);
        expect(await get("/readyz", { method: "HEAD" })).toEqual({ status: 503, body: "" });
      }),
    ));

  test("serves on while others hold as many connections as they get, and trickle", () =>
    withSwarm((swarm) =>
      serving(swarm, ["--listen", "0"], async ({ get, port }) => {
        let closed = 0;
        const idle = Array.from({ length: 2 * limits.serveConnections }, () => {
          const socket = connect(port, "127.0.0.1");
          socket.on("error", () => undefined).on("close", () => closed++);
          return socket;
        });
        const trickle = setInterval(() => {
          for (const socket of idle) if (socket.writable) socket.write("GET / HTTP/1.1\r\nX".slice(0, 1));
        }, 200);
        await until("those beyond the bound are closed", () => closed >= limits.serveConnections, 30);
        await until("the others are too, in their time", () => closed === idle.length, 30);
        clearInterval(trickle);
        expect((await get("/healthz")).status).toBe(503);
      }),
    ));

  test("that others can reach needs a flag and a token", () =>
    withSwarm(async (swarm) => {
      const refusals = [
        `serve --listen 0.0.0.0:0`,
        `serve --listen 0.0.0.0:0 --allow-remote`,
        `run --listen 0.0.0.0:0 -- true`,
      ];
      for (const refusal of refusals) expect((await swarm.shell(`exec "$0" ${refusal}`)).code).toBe(64);
      const short = await swarm.shell(`CFN_SERVE_TOKEN=short exec "$0" serve --listen 0.0.0.0:0 --allow-remote`);
      expect(short).toMatchObject({
        code: 64,
        stderr: expect.stringContaining("expected 16 to 4096 ASCII characters"),
      });
      const token = "correct-horse-battery";
      const use = async ({ port }: Served): Promise<void> => {
        const get = async (headers: Record<string, string>) =>
          (await fetch(`http://127.0.0.1:${port}/agents`, { headers })).status;
        expect(await get({})).toBe(401);
        expect(await get({ authorization: "Bearer correct-horse-batterz" })).toBe(401);
        expect(await get({ authorization: `Bearer ${token}` })).toBe(200);
      };
      await serving(swarm, ["--listen", "0.0.0.0:0", "--allow-remote"], use, token);
    }));
});
