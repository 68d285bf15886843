/** Opening an endpoint as the command line and the environment say. */
import type { Env } from "../src/bus/directory.ts";
import { CfnError } from "../src/errors.ts";
import { limits } from "../src/limits.ts";
import { readText } from "../src/os/file.ts";
import type { Address } from "../src/os/http.ts";
import { type Endpoint, openEndpoint } from "../src/serve/endpoint.ts";
import { address } from "./address.ts";
import { say } from "./log.ts";
import { path } from "./values.ts";

const defaultAddress: Address = { kind: "tcp", host: "127.0.0.1", port: limits.servePort };

export const listenOptions = {
  listen: { type: "string", valueHint: "ADDR", description: "PORT, HOST:PORT or unix:PATH", value: address },
  "allow-remote": { type: "boolean", description: "ADDR may be one that others reach; needs a token" },
  "token-file": {
    type: "string",
    valueHint: "FILE",
    description: "who asks must send it (CFN_SERVE_TOKEN)",
    value: path,
  },
} as const;

interface Listening {
  readonly listen: Address | undefined;
  readonly "allow-remote"?: boolean;
  readonly "token-file"?: string | undefined;
}

/** Throws CfnError("usage") for what contradicts, ("not_found", "unavailable") for a file or an address that cannot be had. */
export function endpointOf(args: Listening, env: Env): Endpoint {
  const given = args.listen ?? defaultAddress;
  const allowRemote = args["allow-remote"] ?? false;
  const onError = (error: unknown): void =>
    void say("error", `the endpoint: ${error instanceof Error ? error.message : error}`);
  return openEndpoint({ address: given, allowRemote, token: tokenOf(args["token-file"], env), onError });
}

/** Never from the command line, which every user of the machine can read. */
function tokenOf(file: string | undefined, env: Env): string | undefined {
  const text =
    file === undefined ? env["CFN_SERVE_TOKEN"] || undefined : readText(file, limits.serveTokenBytesMost)?.trim();
  const from = file === undefined ? "CFN_SERVE_TOKEN" : `the token file ${file}`;
  if (text === undefined) {
    if (file === undefined) return undefined;
    throw new CfnError(
      "not_found",
      `cannot read ${from}`,
      `at most ${limits.serveTokenBytesMost} bytes, in a file of its own`,
    );
  }
  if (/^[!-~]+$/.test(text) && text.length >= limits.serveTokenBytesLeast) return text;
  throw new CfnError(
    "usage",
    `${from} holds no token: at least ${limits.serveTokenBytesLeast} characters, visible ASCII ones, without spaces`,
    "head -c 24 /dev/urandom | base64 makes one",
  );
}
