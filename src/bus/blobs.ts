/**
 * Bodies over the record limit, each a file of its own: written before its record, removed after the record was taken. The
 * name says which process wrote it, so that the sweep knows whose unfinished business it is.
 */
import { readBytes, replaceFile, unlinkFile } from "../os/file.ts";
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
  globalThis.crashPoint?.("blob.begun");
  const { pid, startTicks } = ownIdentity();
  const blob = `${pid}-${startTicks}-${randomId()}`;
  const wrote = replaceFile(`${busDir}/blobs/${blob}`, body);
  if (wrote < 0) return wrote;
  globalThis.crashPoint?.("blob.stored");
  return encoder.encode(
    JSON.stringify({ blob, bytes: body.length, crc: Bun.hash.crc32(body) } satisfies BlobReference),
  );
}

const parse = (reference: Uint8Array): BlobReference => JSON.parse(decoder.decode(reference)) as BlobReference;

export const blobName = (reference: Uint8Array): string => parse(reference).blob;

/** The stored body; undefined if the file is gone or is not what was written. */
export function loadBlob(busDir: string, reference: Uint8Array): Uint8Array | undefined {
  const { blob, bytes, crc } = parse(reference);
  const body = readBytes(`${busDir}/blobs/${blob}`, bytes);
  return body?.length === bytes && Bun.hash.crc32(body) === crc ? body : undefined;
}

export function dropBlob(busDir: string, reference: Uint8Array): void {
  globalThis.crashPoint?.("blob.undropped");
  unlinkFile(`${busDir}/blobs/${blobName(reference)}`);
  globalThis.crashPoint?.("blob.dropped");
}
