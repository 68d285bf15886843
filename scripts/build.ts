/**
 * Builds the binary: `bun scripts/build.ts [OUTFILE]`, dist/cfn if none is named. The release script builds by it too.
 * With `--faults` it is one for tests that dies, stops or finds no space at a named crash point (`src/os/fault.ts`).
 */

import { chmodSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, resolve } from "node:path";

const root = resolve(import.meta.dir, "..");

export interface Platform {
  /** Bun's name of the target, as in "bun-linux-arm64-musl". */
  readonly target: Bun.Build.CompileTarget;
  /** The Bun executable of that target. */
  readonly executable: string;
}

const entry = resolve(root, "cmd/cfn.ts");
/** Runs in a thread of its own: another entry point. */
const threadEntry = resolve(root, "src/os/launchthread.ts");

/** Loaded before everything else by a fault build, and by no other. */
const faultModule = resolve(root, "src/os/fault.ts");
/** What that installs. Calls of these are left out of the shipped binary, with their arguments. */
export const faultCalls = ["globalThis.crashPoint", "globalThis.outOfSpace"];

/** Multiplies the engine's thresholds: most commands end before compiled code would have paid for its compilation. */
const JIT_POLICY = 40;

/**
 * Writes the executable at `outfile` by rename, so that a running one is never written into. Throws if it does not
 * compile. `--splitting` keeps what few commands need in chunks that are loaded on demand, each with its own bytecode;
 * the autoload switches keep the binary from reading `.env`, `bunfig.toml` and the like where it is run.
 *
 * `order` is from `recordOrder`: it puts the bytecode that `cfn send` uses side by side, for a third fewer pages to load.
 */
export async function buildBinary(
  outfile: string,
  order: string | undefined,
  platform?: Platform,
  faults = false,
): Promise<void> {
  mkdirSync(dirname(outfile), { recursive: true });
  const work = mkdtempSync(resolve(dirname(outfile), ".build-"));
  // The name goes into the executable: always the same one, so that the same source gives the same bytes.
  const unfinished = resolve(work, "cfn");
  try {
    await Bun.build({
      ...(await bundleOf(faults)),
      minify: true,
      bytecode: true,
      compile: {
        outfile: unfinished,
        autoloadDotenv: false,
        autoloadBunfig: false,
        autoloadTsconfig: false,
        autoloadPackageJson: false,
        jitPolicy: JIT_POLICY,
        ...(order === undefined ? {} : { bytecodeOrder: order }),
        ...(platform === undefined ? {} : { target: platform.target, executablePath: platform.executable }),
      },
    });
    chmodSync(unfinished, 0o755);
    renameSync(unfinished, outfile);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** What is bundled, and how, before it is made small and compiled. */
export async function bundleOf(faults: boolean): Promise<Bun.BuildConfig> {
  const files = { ...loadedOnDemand(), [threadEntry]: await bundled(threadEntry) };
  const first = `import ${JSON.stringify(faultModule)};\n${readFileSync(entry, "utf8")}`;
  return {
    entrypoints: [entry, threadEntry],
    files: faults ? { ...files, [entry]: first } : files,
    drop: faults ? [] : faultCalls,
    root,
    target: "bun",
    format: "esm",
    splitting: true,
  };
}

/**
 * A module with all that it imports, as one text: it shares nothing with the others, which so stay in fewer, larger pieces.
 * Each piece more costs `cfn send` a tenth of a millisecond.
 */
async function bundled(module: string): Promise<string> {
  const { outputs } = await Bun.build({ entrypoints: [module], target: "bun", format: "esm", drop: faultCalls });
  return (outputs[0] as Bun.BuildArtifact).text();
}

const scanner = new Bun.Transpiler({ loader: "ts" });

/** The project's own modules that one imports, by statement or on demand. */
function importsOf(file: string, kind: "import-statement" | "dynamic-import"): string[] {
  const imports = scanner.scanImports(readFileSync(file, "utf8"));
  return imports
    .filter((one) => one.kind === kind && one.path.startsWith("."))
    .map(({ path }) => resolve(dirname(file), path));
}

/**
 * The modules that are imported on demand. Each is told to import what the entry imports, which is there before any of them: so the
 * bundler sees that all of that is always loaded together, and makes one piece of it instead of twenty.
 */
function loadedOnDemand(): Record<string, string> {
  const first = importsOf(entry, "import-statement").map((path) => `import ${JSON.stringify(path)};`);
  const sources = [...new Bun.Glob("{cmd,src}/**/*.ts").scanSync(root)].map((path) => resolve(root, path)).sort();
  const targets = new Set(sources.flatMap((path) => importsOf(path, "dynamic-import")));
  return Object.fromEntries([...targets].map((path) => [path, `${first.join("")}${readFileSync(path, "utf8")}`]));
}

/** Builds for this machine, lets that binary send a message, and leaves in `file` which functions it used. */
export async function recordOrder(file: string): Promise<void> {
  const work = mkdtempSync(resolve(dirname(file), ".order-"));
  try {
    const binary = resolve(work, "cfn");
    await buildBinary(binary, undefined);
    const base = resolve(work, "base");
    mkdirSync(base, { mode: 0o700 });
    const env = { PATH: process.env["PATH"] ?? "", CFN_MESSAGE_BASE_DIR: base, BUN_BYTECODE_ORDER_OUT: "" };
    // The recipient is an agent whose command is the send that is recorded.
    const send = `BUN_BYTECODE_ORDER_OUT='${file}' '${binary}' send order --text x`;
    const { exitCode, stderr } = Bun.spawnSync([binary, "agent", "order", "--", "sh", "-c", send], { env });
    if (exitCode !== 0) throw new Error(`recording the order of functions: ${stderr}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** The binary of this machine, in two passes: the second is laid out by what the first one used. */
async function build(outfile: string): Promise<void> {
  mkdirSync(dirname(outfile), { recursive: true });
  const work = mkdtempSync(resolve(dirname(outfile), ".build-"));
  try {
    const order = resolve(work, "order");
    await recordOrder(order);
    await buildBinary(outfile, order);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  const words = process.argv.slice(2);
  const outfile = resolve(words.find((word) => !word.startsWith("--")) ?? resolve(root, "dist/cfn"));
  await (words.includes("--faults") ? buildBinary(outfile, undefined, undefined, true) : build(outfile));
}
