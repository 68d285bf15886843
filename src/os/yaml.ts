/** A YAML text as the value it stands for: a list of them where it holds several documents. Throws SyntaxError. */
export function parseYaml(text: string): unknown {
  return Bun.YAML.parse(text);
}
