/** Opening an endpoint as settings and options say. */
import type { Env } from "../src/bus/directory.ts";
import { loadSettings } from "../src/config/load.ts";
import type { Settings } from "../src/config/schema.ts";
import { CfnError } from "../src/errors.ts";
import { limits } from "../src/limits.ts";
import { readText } from "../src/os/file.ts";
import type { Address } from "../src/os/http.ts";
import { type Endpoint, openEndpoint } from "../src/serve/endpoint.ts";
import type { Values } from "./command.ts";
import { say } from "./log.ts";
import { configOption, optionOf, optionsGiven } from "./settings.ts";
import { path } from "./values.ts";

export const listenOptions = {
  listen: optionOf("serve.listen"),
  "allow-remote": { type: "boolean", description: "ADDR may be one that others reach; needs a token" },
  "token-file": {
    type: "string",
    valueHint: "FILE",
    description: "who asks must send it (CFN_SERVE_TOKEN)",
    value: path,
  },
  config: configOption,
} as const;

/** Throws CfnError("usage") for what contradicts, ("not_found") for a file that cannot be read. */
export function serveSettings(args: Values<typeof listenOptions>, env: Env): Settings["serve"] {
  const options = new Map(optionsGiven(listenOptions, args));
  if (args["allow-remote"]) options.set("serve.allow_remote", true);
  const file = args["token-file"];
  if (file !== undefined) options.set("serve.token", tokenIn(file));
  return loadSettings({ env, options, file: args.config }).settings.serve;
}

/** Throws CfnError("unavailable") for an address that cannot be had. */
export function endpointOf(address: Address, { allowRemote, token }: Settings["serve"]): Endpoint {
  const onError = (error: unknown): void =>
    void say("error", `the endpoint: ${error instanceof Error ? error.message : error}`);
  return openEndpoint({ address, allowRemote, token, onError });
}

/** Never from the command line, which every user of the machine can read. */
function tokenIn(file: string): string {
  const text = readText(file, limits.serveTokenBytesMost + 1)?.trim();
  if (text !== undefined) return text;
  throw new CfnError(
    "not_found",
    `cannot read the token file ${file}`,
    `at most ${limits.serveTokenBytesMost} bytes, in a file of its own`,
  );
}
