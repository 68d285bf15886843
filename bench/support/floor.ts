/** Builds the bare spawn loop. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { root } from "./cfn.ts";
import { program } from "./machine.ts";
import { succeed } from "./processes.ts";

/** Path of the compiled `bench/floor.c`; undefined without a C compiler. */
export async function buildFloor(): Promise<string | undefined> {
  const compiler = program("cc");
  if (compiler === undefined) return undefined;
  const dir = join(root, "dist/bench");
  mkdirSync(dir, { recursive: true });
  const path = join(dir, "floor");
  await succeed({ argv: [compiler, "-O2", "-o", path, join(root, "bench/floor.c")] });
  return path;
}
