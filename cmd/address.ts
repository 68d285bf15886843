import type { Address } from "../src/os/http.ts";
import { addressForm, parseAddress } from "../src/serve/address.ts";
import type { ValueType } from "./command.ts";

/** Where to listen. */
export const address: ValueType<Address> = { expects: addressForm, read: parseAddress };
