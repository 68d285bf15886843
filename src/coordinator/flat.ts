/** The flat swarm: the master is the one coordinator, `c1`, and hosts all workers, `w1`…, in its own process. */
import { assert } from "../assert.ts";
import type { Bus } from "../bus/contract.ts";
import { makeRoster, type Roster } from "../bus/roster.ts";
import { CfnError } from "../errors.ts";
import type { ResultPayload, TaskPayload } from "../message/protocol.ts";
import { cancelledUnbegun } from "./outcome.ts";
import { isLook, isStopRequest } from "./payload.ts";
import { Inbox } from "./post.ts";
import { noDeliveries, type Swarm, type SwarmEvents } from "./swarm.ts";
import { type Hosting, type OpenHost, Team } from "./team.ts";

export const flatId = "c1";

export class FlatSwarm implements Swarm {
  readonly coordinators = [flatId];
  readonly mesh = noDeliveries;
  readonly peakRssBytes = 0;
  readonly openFdsMax = 0;
  private readonly team: Team;
  private readonly inbox: Inbox;
  private readonly host: Hosting;
  private readonly roster: Roster;

  constructor(
    private readonly bus: Bus,
    runId: string,
    workers: number,
    openHost: OpenHost,
    private readonly events: SwarmEvents,
  ) {
    const registered = bus.register({ id: flatId, role: "coordinator" });
    if (registered.status !== "registered") throw new CfnError("unavailable", `cannot register ${flatId} on the bus`);
    this.inbox = new Inbox(bus, flatId);
    const seats = Array.from({ length: workers }, (_, n) => `w${n + 1}`);
    const onResult = (result: ResultPayload): void => events.onEvent({ type: "result", result });
    this.team = new Team({ bus, id: flatId, runId, onResult });
    this.roster = makeRoster(bus.info.dir, flatId, 1, workers);
    this.host = openHost({
      lead: flatId,
      seats,
      roster: this.roster,
      onResults: events.onWake,
      onRetired: (retired) => {
        this.team.retire(retired);
        const { seats: left, exhausted } = this.host;
        events.onEvent({ type: "hello", coordinator: flatId, workers: left.length, exhausted });
        events.onWake();
      },
    });
    this.team.serveBy(this.host);
  }

  get hierarchical() {
    return this.team.tally.delivery();
  }

  start(): void {
    this.events.onEvent({ type: "hello", coordinator: flatId });
  }

  dispatch(_coordinator: string, tasks: readonly TaskPayload[]): void {
    for (const task of tasks) this.team.give(task);
    this.team.assign();
  }

  turn(): boolean {
    const some = this.inbox.take((message) => {
      const { payload } = message;
      if (message.type === "result") this.team.received(message);
      else if (message.type === "stop" && isStopRequest(payload)) this.events.onStop(payload.grace_ms);
      else if (message.type === "look" && isLook(payload)) this.host.look(payload.agent);
    });
    this.team.assign();
    return some;
  }

  adopt(coordinator: string): void {
    assert(false, `a flat swarm has one process, so nobody could have taken over from ${coordinator}`);
  }

  drain(): void {
    for (const task of this.team.close()) this.events.onEvent({ type: "result", result: cancelledUnbegun(task) });
  }

  stop(graceMs: number): void {
    this.drain();
    void this.host.stop(graceMs).then(this.events.onWake);
  }

  end(): Promise<void> {
    this.host.close();
    this.inbox.release();
    this.bus.unregister(flatId);
    return Promise.resolve();
  }
}
