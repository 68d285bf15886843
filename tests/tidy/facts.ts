/**
 * What the rules need to know about a source file, taken from TypeScript's own syntax tree: comments, strings and
 * templates cannot be mistaken for code. TypeScript parses a virtual folder, so samples are read as the repository is.
 */
import { type ImportDeclaration, type Node, type SourceFile, SyntaxKind } from "typescript/unstable/ast";
import * as is from "typescript/unstable/ast/is";
import { API } from "typescript/unstable/async";
import { createVirtualFileSystem } from "typescript/unstable/fs";

interface Import {
  readonly specifier: string;
  /** The imported names; "*" for all of them (a namespace, a dynamic import). */
  readonly names: readonly string[];
  /** Whether the module is loaded with the importing one: neither for its types alone, nor by a dynamic import. */
  readonly loads: boolean;
  readonly line: number;
}

interface Exported {
  readonly name: string;
  readonly line: number;
  /** An interface or a type alias: nothing at run time. */
  readonly isType: boolean;
}

interface Access {
  /** As in `object.property`; "*" where the object is used whole. */
  readonly object: string;
  readonly property: string;
  readonly line: number;
}

export interface Facts {
  readonly path: string;
  readonly lines: number;
  readonly imports: readonly Import[];
  /** Names declared and exported here. */
  readonly exports: readonly Exported[];
  readonly accesses: readonly Access[];
  readonly anyLines: readonly number[];
  /** Handlers that drop an error without a statement or a comment that gives the reason. */
  readonly emptyCatchLines: readonly number[];
  /** Texts of strings and of templates, piece by piece. */
  readonly strings: readonly string[];
}

/** Objects whose use is recorded. */
const watched = new Set(["Bun", "Math", "crypto", "process", "test", "it", "describe", "console"]);

/** Reads the TypeScript files among `files` (path → text). */
export async function readFacts(files: ReadonlyMap<string, string>): Promise<Facts[]> {
  const root = "/repository";
  const config = { compilerOptions: { noLib: true, noResolve: true, types: [], allowImportingTsExtensions: true } };
  const entries: Record<string, string> = { [`${root}/tsconfig.json`]: JSON.stringify(config) };
  const paths = [...files.keys()].filter((path) => path.endsWith(".ts"));
  for (const path of paths) entries[`${root}/${path}`] = files.get(path) as string;
  const api = new API({ cwd: root, fs: createVirtualFileSystem(entries) });
  try {
    const snapshot = await api.updateSnapshot({ openProjects: [`${root}/tsconfig.json`] });
    const program = snapshot.getProjects()[0]?.program;
    return await Promise.all(
      paths.map(async (path) => {
        const tree = await program?.getSourceFile(`${root}/${path}`);
        if (tree === undefined) throw new Error(`TypeScript does not read ${path}`);
        return factsOf(path, files.get(path) as string, tree);
      }),
    );
  } finally {
    await api.close();
  }
}

function factsOf(path: string, text: string, tree: SourceFile): Facts {
  const imports: Import[] = [];
  const exports: Exported[] = [];
  const accesses: Access[] = [];
  const anyLines: number[] = [];
  const emptyCatchLines: number[] = [];
  const strings: string[] = [];
  const lineOf = (node: Node): number => text.slice(0, node.getStart(tree)).split("\n").length;

  /** A block without a statement, and without a comment that says why there is none. */
  const isSilent = (block: Node | undefined): boolean =>
    block !== undefined && is.isBlock(block) && /^\{\s*\}$/.test(block.getText(tree));

  const visit = (node: Node): void => {
    const line = (): number => lineOf(node);
    if (is.isImportDeclaration(node) && is.isStringLiteral(node.moduleSpecifier)) {
      imports.push({
        specifier: node.moduleSpecifier.text,
        names: importedNames(node),
        loads: loadsModule(node),
        line: line(),
      });
    } else if (is.isExportDeclaration(node)) {
      const clause = node.exportClause;
      const elements = clause !== undefined && is.isNamedExports(clause) ? [...clause.elements] : [];
      const from = node.moduleSpecifier;
      if (from !== undefined && is.isStringLiteral(from)) {
        const names = elements.map((element) => (element.propertyName ?? element.name).text);
        imports.push({
          specifier: from.text,
          names: elements.length > 0 ? names : ["*"],
          loads: !node.isTypeOnly,
          line: line(),
        });
      } else
        for (const element of elements)
          exports.push({ name: element.name.text, isType: node.isTypeOnly, line: line() });
    } else if (is.isImportTypeNode(node)) {
      const literal = is.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined;
      if (literal !== undefined && is.isStringLiteral(literal)) {
        imports.push({ specifier: literal.text, names: ["*"], loads: false, line: line() });
      }
    } else if (is.isCallExpression(node)) {
      const [first] = node.arguments;
      if (node.expression.kind === SyntaxKind.ImportKeyword && first !== undefined && is.isStringLiteral(first)) {
        imports.push({ specifier: first.text, names: ["*"], loads: false, line: line() });
      }
      const drops = is.isPropertyAccessExpression(node.expression) && node.expression.name.text === "catch";
      if (drops && first !== undefined && (is.isArrowFunction(first) || is.isFunctionExpression(first))) {
        if (isSilent(first.body)) emptyCatchLines.push(line());
      }
    } else if (is.isCatchClause(node)) {
      if (isSilent(node.block)) emptyCatchLines.push(line());
    } else if (node.kind === SyntaxKind.AnyKeyword) {
      anyLines.push(line());
    } else if (is.isIdentifier(node) && watched.has(node.text)) {
      const property = accessedProperty(node);
      if (property !== undefined) accesses.push({ object: node.text, property, line: line() });
    } else if (isText(node)) {
      strings.push(node.text);
    }
    node.forEachChild(visit);
  };

  for (const statement of tree.statements) {
    const isType = is.isInterfaceDeclaration(statement) || is.isTypeAliasDeclaration(statement);
    for (const name of exportedNames(statement)) exports.push({ name, isType, line: lineOf(statement) });
  }
  tree.forEachChild(visit);
  const lines = text.split("\n").length - (text.endsWith("\n") ? 1 : 0);
  return { path, lines, imports, exports, accesses, anyLines, emptyCatchLines, strings };
}

const isText = (node: Node): node is Node & { readonly text: string } =>
  is.isStringLiteral(node) ||
  is.isNoSubstitutionTemplateLiteral(node) ||
  is.isTemplateHead(node) ||
  is.isTemplateMiddle(node) ||
  is.isTemplateTail(node);

function importedNames(node: ImportDeclaration): string[] {
  if (node.importClause === undefined) return [];
  const names: string[] = node.importClause.name === undefined ? [] : ["default"];
  const bindings = node.importClause.namedBindings;
  if (bindings === undefined) return names;
  if (is.isNamespaceImport(bindings)) return ["*"];
  return [...names, ...bindings.elements.map((element) => (element.propertyName ?? element.name).text)];
}

function loadsModule(node: ImportDeclaration): boolean {
  const clause = node.importClause;
  if (clause === undefined) return true;
  if (clause.phaseModifier === SyntaxKind.TypeKeyword) return false;
  const bindings = clause.namedBindings;
  if (clause.name !== undefined || bindings === undefined || is.isNamespaceImport(bindings)) return true;
  return bindings.elements.some((element) => !element.isTypeOnly);
}

function exportedNames(statement: Node): string[] {
  const modifiers = "modifiers" in statement ? (statement.modifiers as readonly Node[] | undefined) : undefined;
  if (modifiers?.some((modifier) => modifier.kind === SyntaxKind.ExportKeyword) !== true) return [];
  if (is.isVariableStatement(statement)) {
    return statement.declarationList.declarations.flatMap((declaration) => boundNames(declaration.name));
  }
  const name = "name" in statement ? (statement.name as Node | undefined) : undefined;
  return name !== undefined && is.isIdentifier(name) ? [name.text] : ["default"];
}

function boundNames(name: Node): string[] {
  if (is.isIdentifier(name)) return [name.text];
  if (!is.isObjectBindingPattern(name) && !is.isArrayBindingPattern(name)) return [];
  return name.elements.flatMap((element) => (is.isBindingElement(element) ? boundNames(element.name as Node) : []));
}

/** The property that is read from a watched object; "*" where it is used whole; undefined where the name means something else. */
function accessedProperty(node: Node): string | undefined {
  let object = node;
  let parent = node.parent;
  if (is.isPropertyAccessExpression(parent) && parent.name === node) {
    // `x.process` is x's own matter, `globalThis.process` is not.
    if (parent.expression.getText() !== "globalThis") return undefined;
    object = parent;
    parent = parent.parent;
  }
  if (is.isPropertyAccessExpression(parent) && parent.expression === object) return parent.name.text;
  if (is.isElementAccessExpression(parent) && parent.expression === object) {
    const key = parent.argumentExpression;
    return key !== undefined && is.isStringLiteral(key) ? key.text : "*";
  }
  const isType = is.isQualifiedName(parent) || is.isTypeReferenceNode(parent) || is.isTypeQueryNode(parent);
  const isName = "name" in parent && parent.name === object;
  if (isType || isName || is.isImportSpecifier(parent)) return undefined;
  // A call of the object itself, as in test("…"), is no property of it.
  return is.isCallExpression(parent) && parent.expression === object ? undefined : "*";
}
