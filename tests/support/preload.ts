/** Before any test: the journals of the runs that tests start go to a directory of their own, and not to the home. */
import { afterAll } from "bun:test";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";

const state = mkdtempSync(`${tmpdir()}/cfn-test-state-`);
// Some tests run as another user.
chmodSync(state, 0o1777);
process.env["XDG_STATE_HOME"] = state;
afterAll(() => rmSync(state, { recursive: true, force: true }));
