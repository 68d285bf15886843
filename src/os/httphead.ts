/** The head of an HTTP/1.1 request, read strictly: what two readers could take for different requests is refused. Pure. */

export interface RequestHead {
  readonly method: string;
  /** As sent: path and query. */
  readonly target: string;
  /** By name in lower case. */
  readonly headers: ReadonlyMap<string, string>;
}

/** `wait`: not all of it has come yet. A number is the status to refuse it with. */
type HeadRead = RequestHead | "wait" | 400 | 413 | 431 | 505;

const REQUEST_LINE = /^([A-Z]{1,16}) (\/[!-~]{0,2047}) HTTP\/([0-9])\.([0-9])$/;
const HEADER = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*$/;
/** Of these a second one contradicts the first. */
const SINGLE = ["host", "content-length", "authorization", "transfer-encoding"];

const decoder = new TextDecoder("latin1");

/** Reads what has come so far. A request with a body is refused: nothing here takes one. */
export function readHead(bytes: Uint8Array, bytesMost: number): HeadRead {
  const text = decoder.decode(bytes.subarray(0, bytesMost));
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return bytes.length >= bytesMost ? 431 : "wait";
  const [first = "", ...lines] = text.slice(0, end).split("\r\n");
  const [, method, target, major, minor] = REQUEST_LINE.exec(first) ?? [];
  if (method === undefined || target === undefined) return 400;
  if (major !== "1") return 505;
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name, value] = HEADER.exec(line) ?? [];
    const key = name?.toLowerCase();
    if (key === undefined || value === undefined || (SINGLE.includes(key) && headers.has(key))) return 400;
    headers.set(key, value);
  }
  if (minor === "1" && !headers.has("host")) return 400;
  if (headers.has("transfer-encoding") || (headers.get("content-length") ?? "0") !== "0") {
    // Who asks to change something hears that this is not done here, not that its body is too long.
    if (method === "GET" || method === "HEAD") return 413;
  }
  return { method, target, headers };
}
