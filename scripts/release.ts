/**
 * Makes the archives that install.sh fetches, with a .sha256 file beside each, in dist/release. `bun scripts/release.ts
 * [PLATFORM…]` makes only those named, as in "x64-musl".
 *
 * The other platforms' Bun executables are npm packages of the pinned version, so nothing else is downloaded. They hold
 * the same engine build as the one that runs this, and its bytecode is valid on all of them (seen to run under an
 * emulated arm64); an engine that refused it would compile the source, which is embedded too. In Bun 1.4.5 the x64
 * executable and the baseline one are the same bytes and run without AVX2; both names stay, for the day they part again.
 * The archives are reproducible: the same checkout gives the same bytes.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { version } from "../package.json";
import { buildBinary, recordOrder } from "./build.ts";

interface ReleasePlatform {
  readonly target: Bun.Build.CompileTarget;
  /** The npm package with Bun's executable. */
  readonly source: string;
  /** The loader that the executable must name: it tells processor and C library apart. */
  readonly interpreter: string;
}

const platforms: Readonly<Record<string, ReleasePlatform>> = {
  x64: {
    target: "bun-linux-x64",
    source: "@oven/bun-linux-x64",
    interpreter: "/lib64/ld-linux-x86-64.so.2",
  },
  "x64-baseline": {
    target: "bun-linux-x64-baseline",
    source: "@oven/bun-linux-x64-baseline",
    interpreter: "/lib64/ld-linux-x86-64.so.2",
  },
  "x64-musl": {
    target: "bun-linux-x64-musl",
    source: "@oven/bun-linux-x64-musl",
    interpreter: "/lib/ld-musl-x86_64.so.1",
  },
  "x64-baseline-musl": {
    target: "bun-linux-x64-baseline-musl",
    source: "@oven/bun-linux-x64-musl-baseline",
    interpreter: "/lib/ld-musl-x86_64.so.1",
  },
  arm64: {
    target: "bun-linux-arm64",
    source: "@oven/bun-linux-aarch64",
    interpreter: "/lib/ld-linux-aarch64.so.1",
  },
  "arm64-musl": {
    target: "bun-linux-arm64-musl",
    source: "@oven/bun-linux-aarch64-musl",
    interpreter: "/lib/ld-musl-aarch64.so.1",
  },
};

const root = resolve(import.meta.dir, "..");
const releaseDir = resolve(root, "dist/release");
// Within node_modules, so that it goes when the packages change.
const cacheDir = resolve(root, "node_modules/.cache/bun-executables");

function run(...argv: string[]): string {
  const { exitCode, stdout } = Bun.spawnSync(argv, { cwd: root, stderr: "inherit" });
  if (exitCode !== 0) throw new Error(`${argv.join(" ")}: exit status ${exitCode}`);
  return stdout.toString().trim();
}

/** The Bun executable out of an npm package, fetched once; npm checks what it fetched against the registry's digest. */
function bunExecutable(source: string): string {
  const executable = resolve(cacheDir, `${source.replace("/", "-")}-${Bun.version}`);
  if (existsSync(executable)) return executable;
  mkdirSync(cacheDir, { recursive: true });
  const work = mkdtempSync(resolve(cacheDir, "fetch-"));
  try {
    const archive = run("npm", "pack", "--silent", "--pack-destination", work, `${source}@${Bun.version}`);
    run("tar", "-xzf", resolve(work, archive), "-C", work, "package/bin/bun");
    renameSync(resolve(work, "package/bin/bun"), executable);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return executable;
}

function checkInterpreter(file: string, interpreter: string): void {
  const head = readFileSync(file).subarray(0, 64 * 1024);
  if (!head.includes(`${interpreter}\0`))
    throw new Error(`${file} does not name ${interpreter}: not for this platform`);
}

/** Runs the binary where this machine can: its processor and C library are those of the Bun that runs this. */
function checkVersion(file: string, interpreter: string): void {
  const own = readFileSync(process.execPath).subarray(0, 64 * 1024);
  if (!own.includes(`${interpreter}\0`)) return;
  const said = run(file, "--version");
  if (!said.includes(version)) throw new Error(`${file} --version prints "${said}", package.json says ${version}`);
}

async function makeArchive(name: string, platform: ReleasePlatform, order: string): Promise<void> {
  const work = mkdtempSync(resolve(releaseDir, ".work-"));
  try {
    const binary = resolve(work, "cfn");
    await buildBinary(binary, order, { target: platform.target, executable: bunExecutable(platform.source) });
    checkInterpreter(binary, platform.interpreter);
    checkVersion(binary, platform.interpreter);
    const tar = resolve(work, "cfn.tar");
    run("tar", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--mode=755", "-cf", tar, "-C", work, "cfn");
    run("gzip", "-n", "-6", tar);
    const archive = `cfn-linux-${name}.tar.gz`;
    const bytes = readFileSync(`${tar}.gz`);
    const sum = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
    renameSync(`${tar}.gz`, resolve(releaseDir, archive));
    writeFileSync(resolve(releaseDir, `${archive}.sha256`), `${sum}  ${archive}\n`);
    const size = (statSync(resolve(releaseDir, archive)).size / 1e6).toFixed(1);
    process.stdout.write(`${archive}  ${size} MB  ${sum}\n`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const chosen = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(platforms);
mkdirSync(releaseDir, { recursive: true });
const order = resolve(releaseDir, ".order");
await recordOrder(order);
for (const name of chosen) {
  const platform = platforms[name];
  if (platform === undefined) throw new Error(`no platform ${name}; there are ${Object.keys(platforms).join(", ")}`);
  await makeArchive(name, platform, order);
}
rmSync(order);
