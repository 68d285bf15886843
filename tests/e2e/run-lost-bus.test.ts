/** The bus is removed under a run, as a logout with RemoveIPC=yes does. */
import { expect, test } from "bun:test";
import { readdirSync, rmSync } from "node:fs";
import { until, withSwarm } from "../support/swarm.ts";

for (const topology of ["flat", "hybrid"]) {
  test(`a ${topology} run whose bus is removed says so, and ends its agents`, () =>
    withSwarm(async ({ start, shell, directory }) => {
      const { stdout: base } = await shell('printf %s "$CFN_MESSAGE_BASE_DIR"');
      const command = ["sh", "-c", `: > ${directory}/up-$CFN_TASK_ID; sleep 300`];
      const shape = topology === "hybrid" ? ["--coordinators", "2"] : [];
      const run = start(["--topology", topology, ...shape, "--agents", "6", "--", ...command]);
      await until("all agents run", () => readdirSync(directory).filter((name) => name.startsWith("up-")).length === 6);
      for (const name of readdirSync(base)) rmSync(`${base}/${name}`, { recursive: true, force: true });
      const { code, stderr } = await run.outcome;
      expect(stderr).toContain("the bus was removed while the run was under way");
      expect(code).toBe(69);
    }));
}
