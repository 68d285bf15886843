/** The endpoint by itself: shows over HTTP whatever run is under way. */
import { followingLooks } from "../src/observe/following.ts";
import { catchSignals } from "../src/os/signals.ts";
import type { Args, Command } from "./command.ts";
import { statusOfSignal } from "./exit.ts";
import { busOption } from "./join.ts";
import { endpointOf, listenOptions, serveSettings } from "./listening.ts";
import { busAsked, runArgument } from "./observed.ts";
import { print } from "./output.ts";

const args = {
  run: runArgument,
  bus: busOption,
  ...listenOptions,
} as const satisfies Args;

export const serveCommand: Command<typeof args> = {
  meta: { name: "serve", description: "Show a run over HTTP: /healthz /readyz /status /agents /metrics" },
  args,
  example: "timeout 1 cfn serve --listen 0 || test $? = 124",
  async run({ args, env }) {
    const ended = new Promise<number>((resolve) => {
      catchSignals(["SIGINT", "SIGTERM", "SIGHUP"], (signal) => resolve(statusOfSignal(signal)));
    });
    const settings = serveSettings(args, env);
    const endpoint = endpointOf(settings.listen, settings);
    endpoint.watch(followingLooks(() => busAsked(args, env)));
    print(`${endpoint.url}\n`);
    const status = await ended;
    endpoint.close();
    return status;
  },
};
