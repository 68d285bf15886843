/**
 * The RemoveIPC trap: at the end of a user's last session systemd-logind removes what is theirs in /dev/shm, under a run
 * that goes on (nohup, tmux). It spares system users and those who linger. Configuration as in logind.conf(5). Pure.
 */
import { type Check, ok, warn } from "./check.ts";

export interface LogindFacts {
  readonly running: boolean;
  /** The main file, then the drop-ins in the order in which they count: the last assignment wins. */
  readonly texts: readonly string[];
  readonly uid: number;
  /** SYS_UID_MAX: users up to this one are the system's. */
  readonly systemUidMost: number;
  readonly user: string;
  readonly lingers: boolean;
  /** Where the bus would be. */
  readonly base: string | undefined;
}

const YES = /^(1|y|yes|true|t|on)$/i;

/** Whether RemoveIPC is on; it is where no file says anything. An empty assignment restores that. */
export function removesIpc(texts: readonly string[]): boolean {
  let value = true;
  for (const text of texts) {
    let section = "";
    for (const line of text.split("\n").map((each) => each.trim())) {
      if (/^\[.*\]$/.test(line)) section = line;
      const given = section === "[Login]" ? /^RemoveIPC\s*=\s*(.*)$/.exec(line)?.[1] : undefined;
      if (given !== undefined) value = given === "" || YES.test(given);
    }
  }
  return value;
}

/** Drop-ins by name; of two with one name the one from the earlier directory counts. */
export function dropIns(
  directories: readonly { readonly path: string; readonly names: readonly string[] }[],
): string[] {
  const chosen = new Map<string, string>();
  for (const { path, names } of directories) {
    for (const name of names) if (name.endsWith(".conf") && !chosen.has(name)) chosen.set(name, `${path}/${name}`);
  }
  return [...chosen].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, path]) => path);
}

export function removeIpcCheck(facts: LogindFacts): Check {
  const name = "remove_ipc";
  const { running, texts, uid, systemUidMost, user, lingers, base } = facts;
  if (!running) return ok(name, "systemd-logind does not run");
  if (uid <= systemUidMost) return ok(name, `user ${uid} is the system's: spared`);
  if (!removesIpc(texts)) return ok(name, "RemoveIPC=no");
  if (lingers) return ok(name, `RemoveIPC=yes, but ${user} lingers`);
  if (base?.startsWith("/dev/shm/") === false) return ok(name, `RemoveIPC=yes, but the bus is not in /dev/shm`);
  return warn(
    name,
    `RemoveIPC=yes: at the last logout of ${user} systemd-logind removes the bus under a run that goes on`,
    `loginctl enable-linger ${user}, or RemoveIPC=no in /etc/systemd/logind.conf`,
  );
}
