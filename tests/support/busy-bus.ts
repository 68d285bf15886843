/** A bus that is busy now and then: a call throws as it does where a lock or a descriptor is not to be had, and has done nothing. */
import type { Bus, Lease } from "../../src/bus/contract.ts";
import { CfnError } from "../../src/errors.ts";

/** Whether a call is refused, by its name. */
export type IsBusy = (call: string) => boolean;

const onBus = ["send", "sendBatch", "leaseAll", "readAll"];
const onLease = ["read", "ack"];

function guarded<T extends object>(
  real: T,
  names: readonly string[],
  isBusy: IsBusy,
  wrap: (made: unknown) => unknown,
): T {
  return new Proxy(real, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return (...words: unknown[]) => {
        if (names.includes(String(name)) && isBusy(String(name)))
          throw new CfnError("try_again", `${String(name)} is busy`);
        return wrap(value.apply(target, words));
      };
    },
  });
}

/** `bus`, some of whose calls throw `try_again`, as do those of the leases that it gives. */
export function busyBus(bus: Bus, isBusy: IsBusy): Bus {
  const real = new Map<unknown, Lease>();
  const wrapLease = (lease: Lease): Lease => {
    const wrapped = guarded(lease, onLease, isBusy, (made) => made);
    real.set(wrapped, lease);
    return wrapped;
  };
  const isLease = (made: unknown): made is Lease => typeof (made as Lease | undefined)?.release === "function";
  const outer = guarded(bus, onBus, isBusy, (made) => {
    if (Array.isArray(made)) return made.map((one) => (isLease(one) ? wrapLease(one) : one));
    return isLease(made) ? wrapLease(made) : made;
  });
  const bare = (leases: readonly Lease[]): Lease[] => leases.map((lease) => real.get(lease) ?? lease);
  return new Proxy(outer, {
    get(target, name) {
      if (name === "readAll") return (leases: readonly Lease[], max: number) => target.readAll(bare(leases), max);
      if (name !== "ackAll") return Reflect.get(target, name);
      // It does not throw: it says which are left.
      return (leases: readonly Lease[], counts: readonly number[]) =>
        isBusy("ackAll") ? leases.map((_, n) => n) : bus.ackAll(bare(leases), counts);
    },
  });
}
