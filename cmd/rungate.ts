/** The marks of admission, as given. */
import { Gate } from "../src/coordinator/gate.ts";
import { CfnError } from "../src/errors.ts";
import { pressurePercent } from "../src/os/load.ts";

interface Marks {
  readonly memfree?: number | undefined;
  readonly load?: number | undefined;
  readonly pressure?: number | undefined;
}

/** Undefined where no mark is set. Throws CfnError usage where the kernel does not tell what `--pressure` asks for. */
export function gateOf({ memfree, load, pressure }: Marks, warn: (text: string) => void): Gate | undefined {
  if (memfree === undefined && load === undefined && pressure === undefined) return undefined;
  if (pressure !== undefined && pressurePercent() === undefined) {
    throw new CfnError("usage", "--pressure: this kernel has no /proc/pressure", "use --load instead");
  }
  return new Gate({ memfreeBytes: memfree, loadMost: load, pressureMostPercent: pressure }, warn);
}
