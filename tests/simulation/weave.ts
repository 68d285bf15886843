/**
 * Weaves scheduling points into the source of the bus, so that many simulated processes can run in one thread and be
 * interrupted at every store to shared memory and every system call.
 *
 * Each function that may come to such a point becomes a generator, each call of one a `yield*`. What is put in does
 * nothing but ask `$k` (the simulated kernel, `kernel.ts`) whether it is somebody else's turn. Nothing of the source is
 * left out: `plainOf` takes the insertions away again, and a test compares the rest with the file, byte by byte.
 *
 * A construct that this file does not know is an error, never a point left out in silence.
 */
import { type Node, type SourceFile, SyntaxKind } from "typescript/unstable/ast";
import * as is from "typescript/unstable/ast/is";
import { API } from "typescript/unstable/async";
import { createVirtualFileSystem } from "typescript/unstable/fs";

/** Calls of `src/os` that touch nothing which processes share. */
const harmless = new Set([
  "O",
  "E",
  "errorText",
  "monotonicMs",
  "systemMs",
  "unixSeconds",
  "jitter",
  "randomId",
  "randomWord",
  "ownIdentity",
  "effectiveUid",
  "bootId",
  "mapFile",
  "textOf",
  "listenForRings",
]);
/** Calls of `src/os` that take several steps by themselves: generators in `system.ts`. */
const stepping = new Set([
  "sleepMs",
  "replaceFile",
  "writeAll",
  "waitForRing",
  "removeTree",
  "readBytes",
  "readText",
  "writeText",
]);
/** Functions of the bus that look at shared memory without the lock: others may come before the look. */
const looks = new Set(["depthOf", "isClean", "findSlot", "tenantsIn", "idOf"]);
/** Parameters and properties that hold functions of the bus. */
const callbacks = new Set(["change", "collect", "rebuild", "decode", "find", "shardOf", "onRing", "visit", "isKept"]);
const walking = new Set(["map", "forEach", "some", "filter"]);
const changing = new Set(["store", "add", "sub", "and", "or", "xor", "exchange", "compareExchange"]);
/** Element stores to what only the process itself sees; `counts` is shared, but nothing is decided by it. */
const own = new Set(["outcomes", "copies", "this.shards", "last", "segment", "kept", "counts", "leases"]);
/** Rare paths: counted each time they begin, and favoured by deaths. */
const counted = new Set([
  "moveRecord",
  "rebuildShard",
  "growIndex",
  "grow",
  "retire",
  "rotate",
  "compact",
  "erase",
  "allocateSlot",
  "sweepBells",
]);

const isElement = is.isElementAccessExpression;
const isShared = (text: string): boolean => /(^|\.)(words|bytes)$|^header$/.test(text);

const BEGIN = "\ue001";
const INSTEAD = "\ue002";
const END = "\ue003";
const put = (text: string): string => `${BEGIN}${text}${INSTEAD}${END}`;
const replace = (original: string, text: string): string => `${BEGIN}${text}${INSTEAD}${original}${END}`;

/** The program to run. */
export const wovenOf = (marked: string): string =>
  marked.replaceAll(/\ue001([^\ue001-\ue003]*)\ue002[^\ue001-\ue003]*\ue003/g, "$1");
/** The source as it was. */
export const plainOf = (marked: string): string =>
  marked.replaceAll(/\ue001[^\ue001-\ue003]*\ue002([^\ue001-\ue003]*)\ue003/g, "$1");

type Body = Node & { readonly body?: Node; readonly name?: Node };

const isFunction = (node: Node): node is Body =>
  is.isFunctionDeclaration(node) ||
  is.isMethodDeclaration(node) ||
  is.isArrowFunction(node) ||
  is.isFunctionExpression(node) ||
  is.isConstructorDeclaration(node);

interface Source {
  readonly path: string;
  readonly text: string;
  readonly tree: SourceFile;
}

/** Parses files (any name → text). */
export async function parseAll(files: ReadonlyMap<string, string>): Promise<Map<string, Source>> {
  const root = "/woven";
  const config = { compilerOptions: { noLib: true, noResolve: true, types: [], allowImportingTsExtensions: true } };
  const entries: Record<string, string> = { [`${root}/tsconfig.json`]: JSON.stringify(config) };
  for (const [path, text] of files) entries[`${root}/${path}`] = text;
  const api = new API({ cwd: root, fs: createVirtualFileSystem(entries) });
  try {
    const snapshot = await api.updateSnapshot({ openProjects: [`${root}/tsconfig.json`] });
    const program = snapshot.getProjects()[0]?.program;
    const parsed = new Map<string, Source>();
    for (const [path, text] of files) {
      const tree = await program?.getSourceFile(`${root}/${path}`);
      if (tree === undefined) throw new Error(`TypeScript does not read ${path}`);
      parsed.set(path, { path, text, tree });
    }
    return parsed;
  } finally {
    await api.close();
  }
}

const nameOf = (node: Node | undefined): string | undefined =>
  node !== undefined && is.isIdentifier(node) ? node.text : undefined;

/** The name by which a function is called, where it has one. */
function calledAs(node: Body): string | undefined {
  const { parent } = node;
  if (nameOf(node.name) !== undefined) return nameOf(node.name);
  return is.isVariableDeclaration(parent) ? nameOf(parent.name) : undefined;
}

/** What is imported from `src/os`. */
function systemNames({ tree }: Source): Set<string> {
  const names = new Set<string>();
  for (const statement of tree.statements) {
    if (!is.isImportDeclaration(statement) || !is.isStringLiteral(statement.moduleSpecifier)) continue;
    const bindings = statement.importClause?.namedBindings;
    if (!statement.moduleSpecifier.text.startsWith("../os/") || bindings === undefined) continue;
    if (is.isNamedImports(bindings)) for (const one of bindings.elements) names.add(one.name.text);
  }
  return names;
}

/** How a node itself, without what is in it, comes to a point. */
type Step = "store" | "atomic" | "copy" | "system" | "stepping" | "call" | "dynamic" | "walk";

function stepOf(node: Node, { tree, path }: Source, system: ReadonlySet<string>, yielding: Yielding): Step | undefined {
  if (is.isBinaryExpression(node) && is.isElementAccessExpression(node.left)) {
    const operator = node.operatorToken.kind;
    if (operator < SyntaxKind.FirstAssignment || operator > SyntaxKind.LastAssignment) return undefined;
    const target = node.left.expression.getText(tree);
    if (isShared(target) && operator === SyntaxKind.EqualsToken) return "store";
    if (!own.has(target)) throw new Error(`${path}: is ${node.getText(tree)} a store to shared memory?`);
  }
  if ((is.isPrefixUnaryExpression(node) || is.isPostfixUnaryExpression(node)) && isElement(node.operand)) {
    const isStep = node.operator === SyntaxKind.PlusPlusToken || node.operator === SyntaxKind.MinusMinusToken;
    if (isStep && !own.has(node.operand.expression.getText(tree)))
      throw new Error(`${path}: is ${node.getText(tree)} a store to shared memory?`);
  }
  if (!is.isCallExpression(node)) return undefined;
  const callee = node.expression;
  if (is.isIdentifier(callee)) {
    if (system.has(callee.text)) {
      if (stepping.has(callee.text)) return "stepping";
      return harmless.has(callee.text) ? undefined : "system";
    }
    if (callbacks.has(callee.text)) return "dynamic";
    return yielding.names.has(callee.text) ? "call" : undefined;
  }
  if (!is.isPropertyAccessExpression(callee)) return undefined;
  const name = callee.name.text;
  const object = callee.expression.getText(tree);
  if (object === "Atomics") {
    return changing.has(name) && !own.has(node.arguments[0]?.getText(tree) ?? "") ? "atomic" : undefined;
  }
  if ((name === "set" || name === "fill" || name === "copyWithin") && isShared(object)) return "copy";
  if (node.arguments.some((one) => yielding.functions.has(one) || yielding.declared.has(nameOf(one) ?? ""))) {
    if (walking.has(name)) return "walk";
    if (!yielding.names.has(name)) throw new Error(`${path}: what does ${name} do with a function of several steps?`);
  }
  return yielding.names.has(name) || callbacks.has(name) ? "dynamic" : undefined;
}

interface Yielding {
  /** Names of functions, methods and variables that hold generators. */
  readonly names: Set<string>;
  /** Those of them that are no methods: they can be handed on by name. */
  readonly declared: Set<string>;
  readonly functions: Set<Node>;
}

/** Which functions may come to a point: to the fixed point, by name over all files. */
function yieldingOf(sources: readonly Source[]): Yielding {
  const yielding: Yielding = { names: new Set(), declared: new Set(), functions: new Set() };
  for (let before = -1; before !== yielding.functions.size; ) {
    before = yielding.functions.size;
    for (const source of sources) {
      const system = systemNames(source);
      const visit = (node: Node, within: readonly Body[]): void => {
        const inside = isFunction(node) ? [...within, node] : within;
        if (inside.length > 0 && stepOf(node, source, system, yielding) !== undefined) {
          for (const one of inside) {
            yielding.functions.add(one);
            const name = calledAs(one);
            if (name === undefined) continue;
            yielding.names.add(name);
            if (!is.isMethodDeclaration(one)) yielding.declared.add(name);
          }
        }
        node.forEachChild((child) => visit(child, inside));
      };
      visit(source.tree, []);
    }
  }
  return yielding;
}

/** Weaves all files of the bus: path → marked text, for `wovenOf` and `plainOf`. */
export function weave(sources: readonly Source[]): Map<string, string> {
  const yielding = yieldingOf(sources);
  return new Map(sources.map((source) => [source.path, weaveOne(source, yielding)]));
}

function weaveOne(source: Source, yielding: Yielding): string {
  const { text, tree, path } = source;
  const system = systemNames(source);
  // Bells are hung and rates kept without the lock, by design.
  const ask = (target: string): string => (/(bell|rates)\.ts$/.test(path) ? "$k.p()" : `$k.s(${target})`);
  const start = (node: Node): number => node.getStart(tree);

  /** A node with what is in it woven. */
  const inner = (node: Node, synchronous: boolean): string => {
    let out = "";
    let at = start(node);
    node.forEachChild((child) => {
      if (child.end <= at) return;
      out += text.slice(at, start(child)) + render(child, synchronous);
      at = child.end;
    });
    return out + text.slice(at, node.end);
  };

  const render = (node: Node, synchronous: boolean): string => {
    if (isFunction(node)) return renderFunction(node);
    const step = stepOf(node, source, system, yielding);
    if (step === undefined) return inner(node, synchronous);
    if (synchronous) return step === "call" ? put("$k.run(") + inner(node, true) + put(")") : inner(node, true);
    if (step === "store" && is.isBinaryExpression(node) && is.isElementAccessExpression(node.left)) {
      const target = node.left.expression.getText(tree);
      const left = render(node.left, false) + text.slice(node.left.end, start(node.right));
      return `${left}${put("($v = (")}${render(node.right, false)}${put(`), ${ask(target)} && (yield 1), $v)`)}`;
    }
    if (!is.isCallExpression(node)) throw new Error(`${path}: ${node.getText(tree)}`);
    const point = (asking: string): string => put(`(${asking} && (yield 1), `) + inner(node, false) + put(")");
    switch (step) {
      case "atomic":
        return point(ask((node.arguments[0] as Node).getText(tree)));
      case "system":
        return point("$k.p()");
      case "call": {
        const looking = looks.has(nameOf(node.expression) ?? "") ? "$k.p() && (yield 1), " : "";
        return put(`(${looking}yield* `) + inner(node, false) + put(")");
      }
      case "stepping":
        return put("(yield* ") + inner(node, false) + put(")");
      case "dynamic":
        return put("($v = (") + inner(node, false) + put("), $v?.$steps ? yield* $v : $v)");
      default:
        return renderMethod(node);
    }
  };

  /** `object.name(arguments)` as `$k.name(object, arguments)`. */
  const renderMethod = (node: Node): string => {
    if (!is.isCallExpression(node) || !is.isPropertyAccessExpression(node.expression)) throw new Error(path);
    const { expression: object, name } = node.expression;
    const first = node.arguments[0] as Node;
    const before = put(`(yield* $k.${name.text}(`) + render(object, false);
    let out = before + replace(text.slice(object.end, start(first)), ", ");
    let at = start(first);
    for (const argument of node.arguments) {
      out += text.slice(at, start(argument)) + render(argument, false);
      at = argument.end;
    }
    return out + text.slice(at, node.end) + put(")");
  };

  const renderFunction = (node: Body): string => {
    const { body } = node;
    const name = nameOf(node.name);
    if (body === undefined || !yielding.functions.has(node)) return inner(node, false);
    if (is.isConstructorDeclaration(node)) return inner(node, true);
    const beginning = `let $v;${counted.has(name ?? "") ? ` $k.begin("${name}");` : ""}`;
    const inside = is.isBlock(body) ? `{${put(beginning)}${render(body, false).slice(1)}` : render(body, false);
    if (is.isFunctionDeclaration(node)) {
      const head = text.slice(start(node), start(body));
      return head.replace(/^((?:export )?function)/, `$1${put("*")}`) + inside;
    }
    if (is.isMethodDeclaration(node)) {
      const nameAt = start(node.name as Node);
      return text.slice(start(node), nameAt) + put("*") + text.slice(nameAt, start(body)) + inside;
    }
    if (!is.isArrowFunction(node)) throw new Error(`${path}: a function expression`);
    const arrow = node.equalsGreaterThanToken;
    const head = text.slice(start(node), start(arrow)) + replace("=>", "") + text.slice(arrow.end, start(body));
    const bound = body.getText(tree).includes("this") ? ".bind(this)" : "";
    const whole = is.isBlock(body) ? inside : put(`{${beginning} return (`) + inside + put("); }");
    return put("(function*") + head + whole + put(`)${bound}`);
  };

  let out = "";
  let at = 0;
  tree.forEachChild((child) => {
    if (child.end <= at) return;
    out += text.slice(at, start(child)) + render(child, false);
    at = child.end;
  });
  return out + text.slice(at);
}
