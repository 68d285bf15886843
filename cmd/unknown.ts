import { CfnError } from "../src/errors.ts";
import { shown } from "./values.ts";

/** A name that is none of those there are. The edge adds the near ones when it reports it (`message/nearest.ts`). */
export class UnknownName extends CfnError {
  constructor(
    code: "usage" | "not_found",
    readonly kind: "command" | "option" | "agent" | "team",
    readonly given: string,
    readonly candidates: readonly string[],
    remedy = "",
  ) {
    super(code, `no such ${kind}: ${shown(given)}`, remedy);
  }
}
