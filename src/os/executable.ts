/** This program as others may start it. */

/** Whether this is the compiled binary, and not the sources under Bun. */
const compiled = (): boolean => Bun.main.startsWith("/$bunfs/");

/** The compiled binary's path; undefined when the sources run under Bun. */
export function ownExecutable(): string | undefined {
  return compiled() ? process.execPath : undefined;
}

/** What `new Worker` takes for the entry point `src/os/<name>.ts`, which `scripts/build.ts` puts into the binary. */
export function threadModule(name: string): string {
  return compiled()
    ? `${Bun.main.slice(0, Bun.main.lastIndexOf("/"))}/src/os/${name}.js`
    : new URL(`./${name}.ts`, import.meta.url).href;
}
