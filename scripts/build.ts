/** Builds the binary: `bun scripts/build.ts [OUTFILE]`, dist/cfn if none is named. The release script builds by it too. */
import { chmodSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { dirname, resolve } from "node:path";

const root = resolve(import.meta.dir, "..");

export interface Platform {
  /** Bun's name of the target, as in "bun-linux-arm64-musl". */
  readonly target: Bun.Build.CompileTarget;
  /** The Bun executable of that target. */
  readonly executable: string;
}

/**
 * Writes the executable at `outfile` by rename, so that a running one is never written into. Throws if it does not
 * compile. `--splitting` keeps what few commands need in chunks that are loaded on demand, each with its own bytecode;
 * the autoload switches keep the binary from reading `.env`, `bunfig.toml` and the like where it is run.
 */
export async function buildBinary(outfile: string, platform?: Platform): Promise<void> {
  mkdirSync(dirname(outfile), { recursive: true });
  const work = mkdtempSync(resolve(dirname(outfile), ".build-"));
  // The name goes into the executable: always the same one, so that the same source gives the same bytes.
  const unfinished = resolve(work, "cfn");
  try {
    await Bun.build({
      entrypoints: [resolve(root, "cmd/cfn.ts")],
      root,
      target: "bun",
      format: "esm",
      minify: true,
      bytecode: true,
      splitting: true,
      compile: {
        outfile: unfinished,
        autoloadDotenv: false,
        autoloadBunfig: false,
        autoloadTsconfig: false,
        autoloadPackageJson: false,
        ...(platform === undefined ? {} : { target: platform.target, executablePath: platform.executable }),
      },
    });
    chmodSync(unfinished, 0o755);
    renameSync(unfinished, outfile);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

if (import.meta.main) await buildBinary(resolve(process.argv[2] ?? resolve(root, "dist/cfn")));
