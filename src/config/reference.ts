/** All settings for people, as a page of Markdown. Pure. */
import { cellOf } from "./origin.ts";
import { type Setting, sections, settingList } from "./schema.ts";

const HEAD = `# Configuration

Defaults, then the configuration file, then variables, then options: the last one that says something has the last word. The file is
\`$XDG_CONFIG_HOME/cfn/config.toml\` (\`~/.config\` without that variable), or the one that \`--config FILE\` names: TOML, YAML or JSON
by its ending. Times are texts like \`500ms\`, \`5s\`, \`2m\` or \`8h\`, or a number of seconds; sizes are texts like \`64KiB\` or \`16MiB\`, or
a number of bytes. An empty variable counts as absent. \`cfn config\` shows what holds and where it came from.
`;

const TITLES: Readonly<Record<keyof typeof sections, string>> = {
  run: "runs",
  bus: "buses and their inboxes",
  metrics: "what runs write down about themselves",
  health: "the judgement on agents",
  alert: "what is worth a call",
  serve: "the HTTP endpoint",
  journal: "what --resume needs",
};

/** Ends with a newline. */
export function referencePage(): string {
  return (
    HEAD +
    Object.keys(sections)
      .map((section) => sectionOf(section as keyof typeof sections))
      .join("")
  );
}

function sectionOf(section: keyof typeof sections): string {
  const rows = settingList.filter((setting) => setting.section === section).map(rowOf);
  const head = "| key | default | expected | variable, option | |\n|---|---|---|---|---|\n";
  return `\n## [${section}] ${TITLES[section]}\n\n${head}${rows.join("")}`;
}

function rowOf(setting: Setting): string {
  const names = [...setting.variables, ...(setting.option === undefined ? [] : [setting.option])];
  const fallback = setting.fallback === undefined ? (setting.unset ?? "") : code(cellOf(setting, setting.fallback));
  const cells = [code(setting.name), fallback, setting.expects, names.map(code).join(", "), setting.about];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`;
}

const code = (text: string): string => `\`${text}\``;
