/** Makes the swarm of a run: flat with the agents' host in this process, hybrid with a process per coordinator. */
import { Adoption } from "../src/agent/adoption.ts";
import type { Bus } from "../src/bus/contract.ts";
import type { Env } from "../src/bus/directory.ts";
import type { Settings } from "../src/config/schema.ts";
import type { RunOptions } from "../src/coordinator/contract.ts";
import { FlatSwarm, flatId } from "../src/coordinator/flat.ts";
import { HybridSwarm, masterId } from "../src/coordinator/hybrid.ts";
import type { Shape } from "../src/coordinator/shape.ts";
import type { Fostering } from "../src/coordinator/succession.ts";
import type { Swarm, SwarmEvents } from "../src/coordinator/swarm.ts";
import { drainInboxes } from "../src/coordinator/undelivered.ts";
import { CfnError } from "../src/errors.ts";
import { limits } from "../src/limits.ts";
import type { ResultPayload } from "../src/message/protocol.ts";
import { environmentBlock } from "../src/os/environment.ts";
import { ownExecutable } from "../src/os/executable.ts";
import { LaunchByNumber } from "../src/os/launch.ts";
import { type Spawned, spawnProgram } from "../src/os/spawn.ts";
import { coordinatorEnvironment, hosting } from "./hosting.ts";

interface SwarmRequest {
  readonly bus: Bus;
  readonly busDir: string;
  readonly runId: string;
  readonly shape: Shape;
  readonly spool: string;
  readonly env: Env;
  readonly settings: Settings;
  /** What coordinators are told about their metrics. */
  readonly metrics: readonly string[];
  readonly warn: (text: string) => void;
}

/** Takes, when all agents have ended, the messages that nobody has read. */
export function drainOf({ bus, runId, shape }: SwarmRequest): RunOptions["drainInboxes"] {
  return (keep) => drainInboxes(bus, shape.topology === "flat" ? flatId : masterId, runId, keep);
}

export function swarmOf(request: SwarmRequest): (events: SwarmEvents) => Swarm {
  const { bus, runId, shape, spool, env, settings, warn } = request;
  const { health } = settings;
  const { graceMs } = settings.run;
  if (shape.topology === "flat") {
    const launcher = new LaunchByNumber(shape.workers);
    const host = hosting({ bus, runId, spool, env, graceMs, health, launcher });
    return (events) => new FlatSwarm(bus, runId, shape.workers, host, events);
  }
  const startCoordinator = coordinatorStarter(request);
  const { outputBytes: outputBytesMax } = limits;
  const openFostering = (onResult: (result: ResultPayload) => void): Fostering =>
    new Adoption({ bus, spool, outputBytesMax, killGraceMs: graceMs, health, onResult });
  const options = { bus, runId, teams: shape.teams, startCoordinator, openFostering, onWarning: warn };
  return (events) => new HybridSwarm(options, events);
}

function coordinatorStarter(request: SwarmRequest): (id: string, workers: number) => Spawned {
  const { busDir, runId, spool, env, settings, metrics } = request;
  const { run, health } = settings;
  const program = ownExecutable();
  if (program === undefined)
    throw new CfnError("unavailable", "a hybrid swarm needs the compiled cfn", "npm run build");
  const environment = environmentBlock(coordinatorEnvironment(env, runId));
  const times = [run.graceMs, health.intervalMs, health.stalledAfterMs].map(String);
  const common = [runId, busDir, spool, ...times];
  return (id, workers) =>
    spawnProgram({
      argv: [program, "coordinator", id, masterId, String(process.pid), String(workers), ...common, ...metrics],
      environment,
      stdin: "/dev/null",
      // Nothing but warnings comes from it.
      stdout: 2,
      stderr: 2,
      group: "session",
    });
}
