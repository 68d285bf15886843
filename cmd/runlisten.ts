/** The endpoint of `cfn run --listen`: in the master's process, from before anything is started until the run has ended. */
import type { Env } from "../src/bus/directory.ts";
import type { Values } from "./command.ts";
import { say } from "./log.ts";
import type { runArgs } from "./runoptions.ts";

interface RunListener {
  /** The run's bus is there. */
  watch(busDir: string): void;
  close(): void;
}

/** Undefined without `--listen`; what it needs is loaded only with it. Loopback and Unix sockets only. */
export async function openListener(args: Values<typeof runArgs>, env: Env): Promise<RunListener | undefined> {
  if (args.listen === undefined) return undefined;
  const [{ endpointOf }, { followingLook }] = await Promise.all([
    import("./listening.ts"),
    import("../src/observe/following.ts"),
  ]);
  const endpoint = endpointOf({ listen: args.listen }, env);
  await say("info", `listening on ${endpoint.url}`);
  return {
    watch: (busDir) => endpoint.watch(followingLook(() => busDir)),
    close: () => endpoint.close(),
  };
}
