/**
 * Bodies over the record limit, each a file of its own: written before its record, removed after the record was taken. The
 * name says which process wrote it, so that the sweep knows whose unfinished business it is.
 */
import { CfnError } from "../errors.ts";
import { readBytes, replaceFile, statPath, unlinkFile } from "../os/file.ts";
import { ownIdentity } from "../os/process.ts";
import { randomId } from "../os/random.ts";

/** What the record's body says in the blob's place. */
interface BlobReference {
  readonly blob: string;
  readonly bytes: number;
  readonly crc: number;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Stores a body; returns the reference to it, encoded as a record's body, or a negated error number. */
export function storeBlob(busDir: string, body: Uint8Array): Uint8Array | number {
  const { pid, startTicks } = ownIdentity();
  const blob = `${pid}-${startTicks}-${randomId()}`;
  const wrote = replaceFile(`${busDir}/blobs/${blob}`, body);
  if (wrote < 0) return wrote;
  return encoder.encode(
    JSON.stringify({ blob, bytes: body.length, crc: Bun.hash.crc32(body) } satisfies BlobReference),
  );
}

/** What a reference says; undefined where the bytes are none of `storeBlob`'s, which only damage makes. */
function parse(reference: Uint8Array): BlobReference | undefined {
  try {
    const said = JSON.parse(decoder.decode(reference)) as Partial<BlobReference> | null;
    // The name becomes part of a path.
    if (typeof said?.blob === "string" && /^\d+-\d+-[0-9a-z]+$/.test(said.blob)) return said as BlobReference;
  } catch {
    // Not JSON: no reference.
  }
  return undefined;
}

/** The name of the blob's file in the directory `blobs`. */
export const blobName = (reference: Uint8Array): string | undefined => parse(reference)?.blob;

/**
 * The stored body; undefined if the file is gone or is not what was written.
 *
 * @throws CfnError try_again, if it is there and cannot be read now.
 */
export function loadBlob(busDir: string, reference: Uint8Array): Uint8Array | undefined {
  const said = parse(reference);
  if (said === undefined) return undefined;
  const path = `${busDir}/blobs/${said.blob}`;
  const body = readBytes(path, said.bytes);
  if (body === undefined && statPath(path)?.bytes === said.bytes)
    throw new CfnError("try_again", `cannot read ${path}`, "see whether the limit of open files is reached");
  return body?.length === said.bytes && Bun.hash.crc32(body) === said.crc ? body : undefined;
}

export function dropBlob(busDir: string, reference: Uint8Array): void {
  const name = blobName(reference);
  if (name !== undefined) unlinkFile(`${busDir}/blobs/${name}`);
}
