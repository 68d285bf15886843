/** The messages that chaos sends: each can be told whole from torn by itself. Pure. */
import type { Draft, Json, Message } from "../message/message.ts";

/** Which message it is: the `n`-th of this life of the sender to its recipient, from 1. */
export interface LetterName {
  readonly from: string;
  /** Counts the lives of a sender, from 1. */
  readonly generation: number;
  readonly n: number;
}

function filling({ from, generation, n }: LetterName, bytes: number): string {
  const word = `${from}/${generation}/${n}.`;
  return word.repeat(Math.ceil(bytes / word.length)).slice(0, bytes);
}

/** `bytes`: how much text to carry. */
export function letter(name: LetterName, to: string, bytes: number): Draft {
  const payload = { g: name.generation, n: name.n, b: bytes, f: filling(name, bytes) };
  return { from: name.from, to, type: "letter", payload };
}

const isRecord = (value: Json): value is { [key: string]: Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The name on a message, and whether it is what the sender of that name wrote to `inbox`. */
export function readLetter(message: Message, inbox: string): LetterName & { readonly whole: boolean } {
  const { from, to, type, payload } = message;
  const { g, n, b, f } = isRecord(payload) ? payload : ({} as Record<string, Json>);
  if (typeof g !== "number" || typeof n !== "number" || typeof b !== "number" || typeof f !== "string")
    return { from, generation: 0, n: 0, whole: false };
  const name = { from, generation: g, n };
  return { ...name, whole: type === "letter" && to === inbox && f === filling(name, b) };
}
