/** Whether a bus lives: whoever runs on it holds a shared lock on its file `owner`. One whose lock nobody holds belongs to the dead. */
import { closeFile, O, openFile } from "../os/file.ts";
import { tryLockFile, unlockFile } from "../os/lock.ts";

/** Claims held by this process, by bus directory: the descriptor that carries the lock. */
export const claims = new Map<string, number>();

/** Whether a living process claims the bus. */
export function isClaimed(dir: string): boolean {
  if (claims.has(dir)) return true;
  const fd = openFile(`${dir}/owner`, O.RDWR);
  if (fd < 0) return false;
  const free = tryLockFile(fd);
  if (free) unlockFile(fd);
  closeFile(fd);
  return !free;
}
