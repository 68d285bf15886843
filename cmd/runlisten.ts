/** The endpoint of `cfn run --listen`: in the master's process, from before anything is started until the run has ended. */
import type { Settings } from "../src/config/schema.ts";
import { say } from "./log.ts";

interface RunListener {
  /** The run's bus is there. */
  watch(busDir: string): void;
  close(): void;
}

/** Undefined without `--listen`; what it needs is loaded only with it. */
export async function openListener({ run, serve }: Settings): Promise<RunListener | undefined> {
  if (run.listen === undefined) return undefined;
  const [{ endpointOf }, { followingLooks }] = await Promise.all([
    import("./listening.ts"),
    import("../src/observe/following.ts"),
  ]);
  const endpoint = endpointOf(run.listen, serve);
  await say("info", `listening on ${endpoint.url}`);
  return {
    watch: (busDir) => endpoint.watch(followingLooks(() => busDir)),
    close: () => endpoint.close(),
  };
}
