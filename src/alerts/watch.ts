/** Looks at a run once a second and tells of the alerts that fire and clear. */
import { limits } from "../limits.ts";
import {
  type AlertChange,
  type AlertName,
  type AlertReadings,
  type AlertState,
  type AlertThresholds,
  judgeAlerts,
  noAlerts,
} from "./rules.ts";

/** As it goes to the log, the metrics and the command. */
export interface AlertEvent extends AlertChange {
  readonly schema: "cfn.alert/1";
  /** Unix seconds. */
  readonly at: number;
  readonly run_id: string;
}

/** As the report has it. */
interface AlertRecord {
  readonly alert: AlertName;
  readonly subject: string;
  /** Unix seconds. */
  readonly fired_at: number;
  /** Absent where it held to the end. */
  readonly cleared_at?: number;
}

interface AlertWatchOptions {
  readonly runId: string;
  readonly thresholds: AlertThresholds;
  /** Unix seconds. */
  readonly now: () => number;
  readonly onAlert: (event: AlertEvent) => void;
  readonly onWarning: (text: string) => void;
}

export class AlertWatch {
  private state: AlertState = noAlerts;
  private lookedAtMs = 0;
  /** How many of those that fired are not in `records`. */
  omitted = 0;
  private readonly fired: AlertRecord[] = [];
  /** Those that have not cleared, by alert and subject: their place in `fired`. */
  private readonly open = new Map<string, number>();

  constructor(private readonly options: AlertWatchOptions) {}

  /** To be called more often than once a second: takes readings when the next look is due. The first is after a second. */
  tick(elapsedMs: number, take: () => AlertReadings | undefined): void {
    if (elapsedMs - this.lookedAtMs < limits.alertLookMs) return;
    this.lookedAtMs = elapsedMs;
    const readings = take();
    if (readings !== undefined) this.look(readings);
  }

  look(readings: AlertReadings): void {
    const { runId, thresholds, now, onAlert, onWarning } = this.options;
    const { state, changes } = judgeAlerts(this.state, readings, thresholds);
    if (state.omitted > 0 && this.state.omitted === 0)
      onWarning(`alerts are kept for ${limits.alertSubjects} agents and inboxes at once: others do not fire`);
    this.state = state;
    const at = now();
    for (const change of changes) {
      this.record(change, at);
      onAlert({ schema: "cfn.alert/1", ...change, at, run_id: runId });
    }
  }

  /** In the order in which they fired; the first `limits.alertsReported` of them. */
  get records(): readonly AlertRecord[] {
    return this.fired;
  }

  private record({ alert, subject, state }: AlertChange, at: number): void {
    const key = `${alert} ${subject}`;
    if (state === "fired") {
      if (this.fired.length >= limits.alertsReported) {
        this.omitted++;
        return;
      }
      this.open.set(key, this.fired.length);
      this.fired.push({ alert, subject, fired_at: at });
      return;
    }
    const place = this.open.get(key);
    if (place === undefined) return;
    this.open.delete(key);
    this.fired[place] = { ...(this.fired[place] as AlertRecord), cleared_at: at };
  }
}
