/** A TOML text as the table it stands for. Throws SyntaxError. */
export function parseToml(text: string): unknown {
  return Bun.TOML.parse(text);
}
