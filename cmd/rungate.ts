/** The marks of admission, as they are set. */
import type { Settings } from "../src/config/schema.ts";
import { Gate } from "../src/coordinator/gate.ts";
import { CfnError } from "../src/errors.ts";
import { pressurePercent } from "../src/os/load.ts";
import { coreCount } from "../src/os/usage.ts";

/** Undefined where no mark is set. Throws CfnError usage where the kernel does not tell what `--pressure` asks for. */
export function gateOf(
  { memfreeBytes, load, pressurePercent: pressure }: Settings["run"],
  warn: (text: string) => void,
): Gate | undefined {
  if (memfreeBytes === undefined && load === undefined && pressure === undefined) return undefined;
  if (pressure !== undefined && pressurePercent() === undefined) {
    throw new CfnError("usage", "--pressure: this kernel has no /proc/pressure", "use --load instead");
  }
  const loadMost = load?.perCore === true ? load.most * coreCount() : load?.most;
  return new Gate({ memfreeBytes, loadMost, pressureMostPercent: pressure }, warn);
}
