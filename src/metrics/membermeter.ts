/** Measures the process of a coordinator of a hybrid swarm: a sample now and then, and one for its end. */
import { unixSeconds } from "../os/clock.ts";
import { type CountedDeliveries, deliveryTotals, type LockFigures, lockPart, processFigures } from "./figures.ts";
import { MetricsLog, type MetricsLogOptions } from "./log.ts";

export interface MemberMeterOptions extends Omit<MetricsLogOptions, "writer" | "onWarning"> {
  readonly coordinator: string;
  readonly epoch: number;
  readonly intervalMs: number;
  readonly lockWaits: () => LockFigures;
  /** How many tasks it has been given that have no result. */
  readonly active: () => number;
}

export class MemberMeter {
  private readonly log: MetricsLog;
  private readonly timer: Timer;

  constructor(private readonly options: MemberMeterOptions) {
    const writer = `${options.coordinator}.${options.epoch}`;
    // The master writes to the same disk, and is the one to say that it cannot.
    this.log = new MetricsLog({ ...options, writer, onWarning: () => undefined });
    this.timer = setInterval(() => this.sample(), options.intervalMs);
  }

  /** With its exit status. Nothing is measured afterwards. */
  end(exit_status: number, hierarchical: CountedDeliveries): void {
    clearInterval(this.timer);
    this.log.costing(() =>
      this.log.emit({
        t: unixSeconds(),
        n: this.log.next(),
        event: "coordinator_ended",
        exit_status,
        hierarchical: deliveryTotals(hierarchical),
        process: processFigures(this.log),
        ...lockPart(this.options.lockWaits()),
      }),
    );
    this.log.close();
  }

  private sample(): void {
    const active = this.options.active();
    this.log.costing(() =>
      this.log.emit({
        t: unixSeconds(),
        n: this.log.next(),
        event: "sample",
        active,
        process: processFigures(this.log),
        ...lockPart(this.options.lockWaits()),
      }),
    );
  }
}
