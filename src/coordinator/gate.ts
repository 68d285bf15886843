/** Looks at the machine for the rule of admission, and says so once agents have waited for it for a while. */
import { limits } from "../limits.ts";
import { availableBytes, loadAverage, pressurePercent } from "../os/load.ts";
import { coreCount } from "../os/usage.ts";
import { type Admission, type AdmissionMarks, admit, notYetAdmitted } from "./admission.ts";

export class Gate {
  private admission: Admission = notYetAdmitted;
  /** Since when something waits at the closed gate. */
  private waitsSinceMs: number | undefined;
  private warnedMs = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly marks: AdmissionMarks,
    private readonly onWarning: (text: string) => void,
  ) {}

  /** What is admitted from now on. `wanted`: something would start. */
  look(nowMs: number, wanted: boolean): Admission {
    const { marks } = this;
    const machine = {
      availableBytes: marks.memfreeBytes === undefined ? 0 : availableBytes(),
      load: marks.loadMost === undefined ? 0 : loadAverage(),
      pressurePercent: marks.pressureMostPercent === undefined ? undefined : pressurePercent(),
    };
    this.admission = admit(this.admission, marks, machine, coreCount());
    const { waitsFor } = this.admission;
    if (waitsFor === undefined || !wanted) this.waitsSinceMs = undefined;
    else {
      this.waitsSinceMs ??= nowMs;
      const isLong = nowMs - this.waitsSinceMs >= limits.admissionWarnAfterMs;
      if (isLong && nowMs - this.warnedMs >= limits.admissionWarnEveryMs) {
        this.warnedMs = nowMs;
        this.onWarning(`no agent starts: the run waits for ${waitsFor}`);
      }
    }
    return this.admission;
  }
}
