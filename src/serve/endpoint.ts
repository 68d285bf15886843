/**
 * The endpoint: requests in, answers of `routes.ts` out. However many ask, the run is looked at at most once in
 * `limits.serveViewMs`: those that come meanwhile share the answer, and a client cannot slow the run.
 */
import { CfnError } from "../errors.ts";
import { limits } from "../limits.ts";
import type { Looks } from "../observe/following.ts";
import type { RunHead } from "../observe/runview.ts";
import { settledLook } from "../observe/settled.ts";
import { isLoopback } from "../os/address.ts";
import { systemMs } from "../os/clock.ts";
import { type Address, addressText, type HttpListener, listenHttp } from "../os/http.ts";
import { refused } from "./gate.ts";
import { notFound, routeOf } from "./routes.ts";

export interface EndpointOptions {
  readonly address: Address;
  /** Whether addresses that others can reach are allowed. */
  readonly allowRemote: boolean;
  /** Who asks must know it; needed where others can reach the address. */
  readonly token: string | undefined;
  readonly onError: (error: unknown) => void;
}

export interface Endpoint {
  /** Where it listens: `http://127.0.0.1:7708`, or `unix:PATH`. */
  readonly url: string;
  /** From now on this is what is looked at; before, there is no run. */
  watch(looks: Looks): void;
  close(): void;
}

/** Throws CfnError("usage") for what would be open to others, ("unavailable") where the address cannot be had. */
export function openEndpoint({ address, allowRemote, token, onError }: EndpointOptions): Endpoint {
  checkReach(address, allowRemote, token);
  let looks: Looks = { head: () => undefined, view: () => undefined };
  const head = shared(() => looks.head());
  const view = shared(() => looks.view());
  const { serveHeadBytes: headBytes, serveConnections: connections, serveRequestMs: requestMs } = limits;
  const listener: HttpListener = listenHttp(
    address,
    { headBytes, connections, requestMs },
    async (request) => {
      const refusal = refused({ address, port: listener.port, token }, request);
      if (refusal !== undefined) return refusal;
      const route = routeOf(request.target);
      if (route === undefined) return notFound(request.target);
      return route.of === "head" ? route.answer(await head()) : route.answer(await view());
    },
    onError,
  );
  const listening = address.kind === "tcp" ? { ...address, port: listener.port } : address;
  return {
    url: `${address.kind === "tcp" ? "http://" : ""}${addressText(listening)}`,
    watch(next) {
      looks = next;
    },
    close: () => listener.close(),
  };
}

/** One look for all who ask within `limits.serveViewMs` of its end. */
function shared<View extends RunHead>(look: () => View | undefined): () => Promise<View | undefined> {
  let seen: Promise<View | undefined> | undefined;
  let seenAt = Number.NEGATIVE_INFINITY;
  let busy = false;
  return () => {
    if (seen !== undefined && (busy || systemMs() - seenAt < limits.serveViewMs)) return seen;
    busy = true;
    seen = settledLook(look).finally(() => {
      busy = false;
      seenAt = systemMs();
    });
    return seen;
  };
}

function checkReach(address: Address, allowRemote: boolean, token: string | undefined): void {
  if (address.kind === "unix" || isLoopback(address.host)) return;
  const where = addressText(address);
  if (!allowRemote)
    throw new CfnError(
      "usage",
      `${where} can be reached by others`,
      "cfn serve --allow-remote listens there, with a token",
    );
  if (token === undefined)
    throw new CfnError(
      "usage",
      `${where} can be reached by others, and there is no token`,
      "set CFN_SERVE_TOKEN, or --token-file FILE",
    );
}
