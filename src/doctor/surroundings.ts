/** What this machine is, and what the environment says. Pure. */
import type { Env } from "../bus/directory.ts";
import { type Check, ok, warn } from "./check.ts";

/** Where a container or a virtual machine can be told by. */
export interface Clues {
  readonly dockerFile: boolean;
  readonly podmanFile: boolean;
  /** /run/systemd/container, or `container=` of process 1. */
  readonly declared: string;
  readonly kubernetes: boolean;
  readonly processVersion: string;
  readonly controlGroups: string;
  /** sys_vendor and product_name. */
  readonly hardware: string;
  readonly hypervisorFlag: boolean;
}

const byGroup = /\b(kubepods|docker|libpod|lxc|containerd|crio)\b/;
const byHardware =
  /(QEMU|KVM|VMware|VirtualBox|Xen|Amazon EC2|Google Compute|Microsoft Corporation|Firecracker|Parallels|OpenStack|DigitalOcean|Hetzner)/i;

/** One word or two: "docker", "kubernetes", "a virtual machine (QEMU)", "bare metal". */
export function machineOf(clues: Clues): string {
  const { dockerFile, podmanFile, declared, kubernetes, processVersion, controlGroups, hardware, hypervisorFlag } =
    clues;
  if (/microsoft/i.test(processVersion)) return "WSL";
  if (kubernetes) return "a container (kubernetes)";
  if (podmanFile) return "a container (podman)";
  if (dockerFile) return "a container (docker)";
  if (declared !== "") return `a container (${declared})`;
  const group = byGroup.exec(controlGroups)?.[1];
  if (group !== undefined) return `a container (${group})`;
  const vendor = byHardware.exec(hardware)?.[1];
  if (vendor !== undefined) return `a virtual machine (${vendor})`;
  return hypervisorFlag ? "a virtual machine" : "no container or virtual machine that can be told";
}

export const machineCheck = (clues: Clues, uid: number): Check => ok("machine", `${machineOf(clues)}, user ${uid}`);

/** Variables by which Bun, inside this binary, would do something else. */
export function environmentCheck(env: Env): Check {
  const name = "environment";
  const set = ["BUN_OPTIONS", "BUN_BE_BUN", "BUN_JSC_useJIT", "LD_PRELOAD"].filter((variable) => env[variable]);
  if (set.length === 0) return ok(name, "no variable that changes how cfn runs");
  return warn(name, set.map((variable) => `${variable}=${env[variable]}`).join(" "), `unset ${set.join(" ")}`);
}

const SINCE = Date.UTC(2024, 0, 1) / 1000;

export function clockCheck(unixSeconds: number): Check {
  const shown = `${new Date(unixSeconds * 1000).toISOString().slice(0, 19)}Z`;
  if (unixSeconds >= SINCE) return ok("clock", shown);
  return warn(
    "clock",
    shown,
    "times of messages and names of journals will be wrong: set the clock (timedatectl set-ntp true)",
  );
}
