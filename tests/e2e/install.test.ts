/** install.sh against a server of this test's own. The archives hold a small program, so that only one test moves 100 MB. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { version } from "../../package.json";
import { type CommandOutcome, cfnBinary, repositoryRoot, runCommand } from "../support/binary.ts";

const script = resolve(repositoryRoot, "install.sh");
const scriptText = readFileSync(script, "utf8");

let work = "";
let served = new Map<string, Uint8Array | (() => Response)>();
let requested: string[] = [];
let server: ReturnType<typeof Bun.serve>;

beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), "cfn-install-test-"));
  server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch(request) {
      const name = new URL(request.url).pathname.slice(1);
      requested.push(name);
      const found = served.get(name);
      if (found === undefined) return new Response("no such file", { status: 404 });
      return typeof found === "function" ? found() : new Response(found as Uint8Array<ArrayBuffer>);
    },
  });
});

afterAll(async () => {
  await server.stop(true);
  rmSync(work, { recursive: true, force: true });
});

const sha256 = (bytes: Uint8Array): string => new Bun.CryptoHasher("sha256").update(bytes).digest("hex");

/** A folder with one file `cfn` in it, packed as the release script does. */
async function pack(file: string): Promise<Uint8Array> {
  const dir = mkdtempSync(join(work, "pack-"));
  await runCommand(["cp", file, join(dir, "cfn")]);
  const { code, stderr } = await runCommand(["tar", "-cf", join(dir, "tar"), "-C", dir, "cfn"]);
  expect(code, stderr).toBe(0);
  // Level 0: packed as gzip but not squeezed, which would be most of this file's time.
  return Bun.gzipSync(readFileSync(join(dir, "tar")), { level: 0 });
}

function program(text: string): string {
  const file = join(mkdtempSync(join(work, "program-")), "cfn");
  writeFileSync(file, text, { mode: 0o755 });
  return file;
}

async function publish(archive: string, text = "#!/bin/sh\necho 9.9.9\n"): Promise<void> {
  const bytes = await pack(program(text));
  served = new Map<string, Uint8Array | (() => Response)>([
    [archive, bytes],
    [`${archive}.sha256`, new TextEncoder().encode(`${sha256(bytes)}  ${archive}\n`)],
  ]);
  requested = [];
}

interface Host {
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What programs of these names print on this pretended machine. */
  readonly commands?: Readonly<Record<string, string>>;
  readonly cpu?: string;
  readonly stdin?: string;
}

const modern = { uname: "case $1 in -s) echo Linux ;; *) echo x86_64 ;; esac", ldd: 'echo "ldd (GNU libc) 2.36"' };
const alpine = { ...modern, ldd: 'echo "musl libc (x86_64)" >&2; exit 1' };

/** Runs the script as on a machine of that kind: programs found first on PATH, and a cpuinfo file, make the difference. */
function install(dir: string, host: Host = {}): Promise<CommandOutcome> {
  const bin = mkdtempSync(join(work, "bin-"));
  for (const [name, body] of Object.entries(host.commands ?? modern)) {
    writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  }
  const cpuinfo = join(bin, "cpuinfo");
  writeFileSync(cpuinfo, `flags\t\t: ${host.cpu ?? "fpu sse4_2 avx avx2 bmi2"}\n`);
  const argv =
    host.stdin === undefined ? ["sh", script, ...(host.args ?? [])] : ["sh", "-s", "--", ...(host.args ?? [])];
  return runCommand(argv, {
    cwd: work,
    env: {
      PATH: `${bin}:/usr/local/bin:/usr/bin:/bin`,
      HOME: work,
      CFN_INSTALL_URL: `http://127.0.0.1:${server.port}`,
      CFN_INSTALL_DIR: dir,
      CFN_INSTALL_CPUINFO: cpuinfo,
      ...host.env,
    },
    ...(host.stdin === undefined ? {} : { stdin: host.stdin }),
  });
}

/** A folder with an executable from before, which every failure must leave alone. */
function folderWithOldBinary(): string {
  const dir = mkdtempSync(join(work, "target-"));
  writeFileSync(join(dir, "cfn"), "the old one", { mode: 0o755 });
  return dir;
}

function expectUntouched(dir: string): void {
  expect(readdirSync(dir)).toEqual(["cfn"]);
  expect(readFileSync(join(dir, "cfn"), "utf8")).toBe("the old one");
}

describe("install.sh picks the archive of this machine", () => {
  const arm = (ldd: string) => ({ uname: "case $1 in -s) echo Linux ;; *) echo aarch64 ;; esac", ldd });
  const kinds: [string, Host, string][] = [
    ["glibc and AVX2", {}, "cfn-linux-x64.tar.gz"],
    ["glibc without AVX2", { cpu: "fpu sse4_2 avx" }, "cfn-linux-x64-baseline.tar.gz"],
    ["glibc with avx2 only inside a longer word", { cpu: "fpu notavx2x" }, "cfn-linux-x64-baseline.tar.gz"],
    ["musl and AVX2", { commands: alpine }, "cfn-linux-x64-musl.tar.gz"],
    ["musl without AVX2", { commands: alpine, cpu: "fpu" }, "cfn-linux-x64-baseline-musl.tar.gz"],
    ["arm64 and glibc", { commands: arm(modern.ldd), cpu: "fp asimd" }, "cfn-linux-arm64.tar.gz"],
    ["arm64 and musl", { commands: arm(alpine.ldd), cpu: "fp asimd" }, "cfn-linux-arm64-musl.tar.gz"],
  ];
  for (const [machine, host, archive] of kinds) {
    test(`on a machine with ${machine}: ${archive}`, async () => {
      await publish(archive);
      const dir = mkdtempSync(join(work, "target-"));
      const { code, stderr } = await install(dir, host);
      expect(code, stderr).toBe(0);
      expect(requested).toEqual([`${archive}.sha256`, archive]);
      expect(readdirSync(dir)).toEqual(["cfn"]);
    });
  }

  test("and refuses a system that is not Linux, or a processor without an archive", async () => {
    await publish("cfn-linux-x64.tar.gz");
    const dir = folderWithOldBinary();
    const mac = await install(dir, { commands: { ...modern, uname: "echo Darwin" } });
    expect(mac.code).toBe(1);
    expect(mac.stderr).toContain("cfn runs on Linux only");
    const commands = { ...modern, uname: "case $1 in -s) echo Linux ;; *) echo riscv64 ;; esac" };
    const riscv = await install(dir, { commands });
    expect(riscv.code).toBe(1);
    expect(riscv.stderr).toContain("no archive for the processor riscv64");
    expect(requested).toEqual([]);
    expectUntouched(dir);
  });
});

describe("install.sh installs", () => {
  test("the binary of this checkout, from an archive made of it", async () => {
    const bytes = await pack(cfnBinary);
    const archive = "cfn-linux-x64.tar.gz";
    served = new Map([
      [archive, bytes],
      [`${archive}.sha256`, new TextEncoder().encode(`${sha256(bytes)}  ${archive}\n`)],
    ]);
    const dir = mkdtempSync(join(work, "target-"));
    const { code, stderr } = await install(dir);
    expect(code, stderr).toBe(0);
    const installed = await runCommand([join(dir, "cfn"), "--version"], { cwd: work });
    expect(installed.code).toBe(0);
    expect(installed.stdout).toContain(version);
    rmSync(dir, { recursive: true });
  });

  test("over an older one, into a folder that it creates, by curl's pipe, and by wget", async () => {
    await publish("cfn-linux-x64.tar.gz");
    const old = folderWithOldBinary();
    expect((await install(old)).code).toBe(0);
    expect(readFileSync(join(old, "cfn"), "utf8")).toContain("9.9.9");

    const fresh = join(mkdtempSync(join(work, "target-")), "a b/bin");
    const piped = await install(fresh, { stdin: scriptText });
    expect(piped.code, piped.stderr).toBe(0);
    expect(readdirSync(fresh)).toEqual(["cfn"]);

    // A PATH without curl.
    const bin = mkdtempSync(join(work, "bin-"));
    for (const name of [
      "sh",
      "wget",
      "tar",
      "gzip",
      "sha256sum",
      "cut",
      "grep",
      "mktemp",
      "mkdir",
      "rmdir",
      "rm",
      "mv",
      "chmod",
    ]) {
      const found = Bun.which(name);
      if (found !== null) await runCommand(["ln", "-s", found, join(bin, name)]);
    }
    for (const [name, body] of Object.entries(modern)) {
      writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    }
    const viaWget = mkdtempSync(join(work, "target-"));
    const { code, stderr } = await install(viaWget, { env: { PATH: bin } });
    expect(code, stderr).toBe(0);
    expect(readdirSync(viaWget)).toEqual(["cfn"]);
  });

  test("in ~/.local/bin by default, and says what to add to PATH but writes no start file", async () => {
    await publish("cfn-linux-x64.tar.gz");
    const home = mkdtempSync(join(work, "home-"));
    const { code, stdout, stderr } = await install("", { env: { HOME: home, CFN_INSTALL_DIR: undefined } });
    expect(code, stderr).toBe(0);
    expect(stdout).toBe("");
    expect(stderr).toContain(`export PATH="${home}/.local/bin:$PATH"`);
    expect(readdirSync(home)).toEqual([".local"]);
    expect(readdirSync(join(home, ".local/bin"))).toEqual(["cfn"]);
  });

  test("without a word about PATH where the folder is on it", async () => {
    await publish("cfn-linux-x64.tar.gz");
    const dir = mkdtempSync(join(work, "target-"));
    const bin = mkdtempSync(join(work, "bin-"));
    for (const [name, body] of Object.entries(modern)) {
      writeFileSync(join(bin, name), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    }
    const { stderr } = await install(dir, { env: { PATH: `${bin}:/usr/bin:/bin:${dir}` } });
    expect(stderr).toContain(`installed cfn 9.9.9 as ${dir}/cfn`);
    expect(stderr).not.toContain("export PATH");
  });
});

describe("install.sh leaves the old executable alone, and nothing beside it,", () => {
  const archive = "cfn-linux-x64.tar.gz";

  async function expectRefusal(message: string, host: Host = {}): Promise<void> {
    const dir = folderWithOldBinary();
    const { code, stdout, stderr } = await install(dir, host);
    expect(stderr).toContain(message);
    expect(code).toBe(1);
    expect(stdout).toBe("");
    expectUntouched(dir);
  }

  test("when the checksum is wrong", async () => {
    await publish(archive);
    served.set(`${archive}.sha256`, new TextEncoder().encode(`${"0".repeat(64)}  ${archive}\n`));
    await expectRefusal(`wrong SHA-256 of ${archive}`);
  });

  test("when the checksum file is empty", async () => {
    await publish(archive);
    served.set(`${archive}.sha256`, new Uint8Array());
    await expectRefusal(`wrong SHA-256 of ${archive}`);
  });

  test("when the archive is not there", async () => {
    await publish(archive);
    served.delete(archive);
    await expectRefusal(`${archive}, or the download broke off`);
  });

  test("when the checksum is not there", async () => {
    await publish(archive);
    served.delete(`${archive}.sha256`);
    await expectRefusal(`cannot fetch http://127.0.0.1:${server.port}/${archive}.sha256`);
  });

  test("when the server closes in the middle of the archive", async () => {
    await publish(archive, `#!/bin/sh\n# ${"long enough to break off ".repeat(8000)}\necho cfn\n`);
    const whole = served.get(archive) as Uint8Array;
    const breaking = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        data(socket, request) {
          const isSum = request.toString().includes(".sha256 ");
          const body = isSum ? (served.get(`${archive}.sha256`) as Uint8Array) : whole;
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`);
          socket.write(isSum ? body : body.subarray(0, body.length >> 1));
          socket.end();
        },
      },
    });
    try {
      const env = { CFN_INSTALL_URL: `http://127.0.0.1:${breaking.port}` };
      await expectRefusal("the download broke off", { env });
    } finally {
      breaking.stop(true);
    }
  });

  test("when the archive does not hold cfn", async () => {
    await publish(archive);
    const bytes = new TextEncoder().encode("no archive at all");
    served.set(archive, bytes);
    served.set(`${archive}.sha256`, new TextEncoder().encode(`${sha256(bytes)}  ${archive}\n`));
    await expectRefusal(`cannot unpack ${archive}`);
  });

  test("when the new executable does not run here", async () => {
    await publish(archive, "#!/no/such/interpreter\n");
    await expectRefusal("the new cfn does not run here");
  });

  test("when no address is set", async () => {
    await expectRefusal("set CFN_INSTALL_URL", { env: { CFN_INSTALL_URL: undefined } });
  });

  test("when an option is unknown or there are two", async () => {
    await expectRefusal("unknown option --unistall", { args: ["--unistall"] });
    await expectRefusal("one option at most", { args: ["--uninstall", "--from-source"] });
  });

  test("when there is no checkout to build", async () => {
    await expectRefusal("there is none at", { args: ["--from-source"], stdin: scriptText });
  });

  test("when the script itself arrives cut anywhere", async () => {
    await publish(archive);
    const dir = folderWithOldBinary();
    const last = scriptText.lastIndexOf("{ main");
    const cuts = [0.1, 0.3, 0.5, 0.7, 0.9].map((part) => Math.floor(scriptText.length * part));
    for (let cut = last - 1; cut < scriptText.lastIndexOf("}"); cut++) cuts.push(cut);
    for (const cut of cuts) await install(dir, { stdin: scriptText.slice(0, cut) });
    expect(requested).toEqual([]);
    expectUntouched(dir);
  });

  test("when it is ended by a signal while it downloads", async () => {
    await publish(archive);
    served.set(archive, () => new Response(new ReadableStream({ pull: () => new Promise(() => {}) })));
    const dir = folderWithOldBinary();
    const commands = { ...modern, curl: 'case $* in *.sha256) exec /usr/bin/curl "$@" ;; esac; kill -TERM $PPID' };
    const { code } = await install(dir, { commands });
    expect(code).toBe(1);
    expectUntouched(dir);
  });
});

describe("install.sh says what to do about the target folder", () => {
  test("where it cannot be created, as below a file", async () => {
    await publish("cfn-linux-x64.tar.gz");
    const file = program("a file");
    const { code, stderr } = await install(join(file, "bin"));
    expect(code).toBe(1);
    expect(stderr).toContain(`cannot create ${file}/bin; set CFN_INSTALL_DIR to a folder that you may write`);
    expect(requested).toEqual([]);
  });

  test("where it may not be written", async () => {
    await publish("cfn-linux-x64.tar.gz");
    const dir = folderWithOldBinary();
    chmodSync(dir, 0o555);
    // Root may write anywhere; /proc refuses root too.
    const target = process.getuid?.() === 0 ? "/proc" : dir;
    const { code, stderr } = await install(target);
    expect(code).toBe(1);
    expect(stderr).toContain(`cannot write in ${target}; set CFN_INSTALL_DIR to a folder that you may write`);
    expect(requested).toEqual([]);
    expectUntouched(dir);
    chmodSync(dir, 0o755);
  });

  test("where a folder has the executable's name", async () => {
    await publish("cfn-linux-x64.tar.gz");
    const dir = mkdtempSync(join(work, "target-"));
    mkdirSync(join(dir, "cfn"));
    const { code, stderr } = await install(dir);
    expect(code).toBe(1);
    expect(stderr).toContain(`${dir}/cfn is a folder`);
    expect(readdirSync(join(dir, "cfn"))).toEqual([]);
  });

  test("and takes away a folder that it created in vain", async () => {
    await publish("cfn-linux-x64.tar.gz");
    served.clear();
    const dir = join(work, "in-vain");
    expect((await install(dir)).code).toBe(1);
    expect(existsSync(dir)).toBe(false);
  });
});

test("install.sh --uninstall removes the executable and nothing else, and a second time finds nothing", async () => {
  const dir = folderWithOldBinary();
  writeFileSync(join(dir, "other"), "stays");
  const first = await install(dir, { args: ["--uninstall"] });
  expect(first.code, first.stderr).toBe(0);
  expect(first.stderr).toContain(`removed ${dir}/cfn`);
  expect(readdirSync(dir)).toEqual(["other"]);
  const second = await install(dir, { args: ["--uninstall"] });
  expect(second.code).toBe(0);
  expect(second.stderr).toContain("nothing to remove");
});

test("install.sh and the other scripts pass shellcheck", async () => {
  const shellcheck = Bun.which("shellcheck");
  // Where it is not installed the check is CI's.
  if (shellcheck === null) return;
  const scripts = [script, resolve(repositoryRoot, "scripts/dependencies.sh"), resolve(repositoryRoot, ".ci/run")];
  const { code, stdout } = await runCommand([shellcheck, ...scripts.filter((file) => existsSync(file))]);
  expect(stdout).toBe("");
  expect(code).toBe(0);
});

test("install.sh is short enough to audit", () => {
  expect(scriptText.split("\n").length).toBeLessThanOrEqual(130);
});
