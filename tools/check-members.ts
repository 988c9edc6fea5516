// SPDX-License-Identifier: Apache-2.0
// Members of classes, and calls of the native addon, that nothing uses. knip judges exports; this
// judges what stands inside them. A member counts as used when code (tests included) reads, calls
// or writes it, directly or through an interface that its class can stand for. Each run first
// judges a planted class, to prove that the check bites.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import ts from 'typescript';
import { plantedProgram, root } from './tree-program.ts';

const product = /^(abi|protocol|sentry|gofer|native|platform-ptrace|platform-kvm|runts)\//;

const byName = 'set and read by its name: syscalls/socket-options.ts';

/** Members that are used in a way this check cannot see, each with the way. */
const usedUnseen: ReadonlyMap<string, string> = new Map([
  ['SocketOptions.passSecurity', byName],
  ['SocketOptions.noCheck', byName],
  ['Timeline.toString', 'by string conversion'],
]);

/** A class or interface member and where it is declared. */
interface Member {
  readonly name: string;
  readonly symbol: ts.Symbol;
  readonly owner: ts.Type;
  readonly file: string;
  readonly line: number;
}

/** Classes by the classes that they extend, however many steps above. */
type Heirs = ReadonlyMap<ts.Type, readonly ts.Type[]>;

type Uses = ReadonlyMap<string, ReadonlySet<ts.Symbol>>;

function fullName({ owner, name }: Member): string {
  return `${owner.symbol.name}.${name}`;
}

function isProduct(path: string): boolean {
  return product.test(relative(root, path)) && !path.endsWith('.test.ts');
}

/** Symbols of generic instances and of union members lead back to those that were declared. */
function declaredSymbols(symbol: ts.Symbol, checker: ts.TypeChecker): readonly ts.Symbol[] {
  const parts = (symbol.declarations ?? []).flatMap((declaration) => {
    const name = ts.getNameOfDeclaration(declaration);
    const own = name === undefined ? undefined : checker.getSymbolAtLocation(name);
    return own === undefined ? [] : [own];
  });
  return [symbol, ...parts];
}

function propertySymbol(node: ts.Node, checker: ts.TypeChecker): ts.Symbol | undefined {
  if (ts.isPropertyAccessExpression(node)) return checker.getSymbolAtLocation(node.name);
  if (ts.isElementAccessExpression(node)) {
    return ts.isStringLiteral(node.argumentExpression)
      ? checker.getSymbolAtLocation(node.argumentExpression)
      : undefined;
  }
  if (!ts.isBindingElement(node) || !ts.isObjectBindingPattern(node.parent)) return undefined;
  const name = node.propertyName ?? node.name;
  if (!ts.isIdentifier(name)) return undefined;
  return checker.getTypeAtLocation(node.parent).getProperty(name.text);
}

/** Every symbol that is the target of a property access, by its name. */
function collectUses(sources: readonly ts.SourceFile[], checker: ts.TypeChecker): Uses {
  const uses = new Map<string, Set<ts.Symbol>>();
  const visit = (node: ts.Node): void => {
    const symbol = propertySymbol(node, checker);
    if (symbol !== undefined) {
      const known = uses.get(symbol.name) ?? new Set();
      for (const one of declaredSymbols(symbol, checker)) known.add(one);
      uses.set(symbol.name, known);
    }
    ts.forEachChild(node, visit);
  };
  for (const source of sources) visit(source);
  return uses;
}

function isAddonInterface(node: ts.Node, file: string): node is ts.InterfaceDeclaration {
  return ts.isInterfaceDeclaration(node) && relative(root, file).startsWith('native/addon/');
}

/** Members of all classes, and of the interfaces that describe the addon. */
function collectMembers(sources: readonly ts.SourceFile[], checker: ts.TypeChecker): Member[] {
  const members: Member[] = [];
  for (const source of sources) {
    const visit = (node: ts.Node): void => {
      if (ts.isClassLike(node) || isAddonInterface(node, source.fileName)) {
        const owner = checker.getTypeAtLocation(node);
        for (const member of node.members) {
          const { name } = member;
          if (name === undefined || ts.isConstructorDeclaration(member)) continue;
          if (!ts.isIdentifier(name) && !ts.isPrivateIdentifier(name)) continue;
          const symbol = checker.getSymbolAtLocation(name);
          if (symbol === undefined) continue;
          const { line } = source.getLineAndCharacterOfPosition(name.getStart());
          members.push({ name: name.text, symbol, owner, file: source.fileName, line: line + 1 });
        }
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return members;
}

function collectHeirs(sources: readonly ts.SourceFile[], checker: ts.TypeChecker): Heirs {
  const heirs = new Map<ts.Type, ts.Type[]>();
  const visit = (node: ts.Node): void => {
    if (ts.isClassLike(node)) {
      const type = checker.getTypeAtLocation(node);
      let above = type.getBaseTypes()?.[0];
      while (above !== undefined) {
        const declared = above.symbol.declarations?.[0];
        const key = declared === undefined ? above : checker.getTypeAtLocation(declared);
        heirs.set(key, [...(heirs.get(key) ?? []), type]);
        above = key.getBaseTypes()?.[0];
      }
    }
    ts.forEachChild(node, visit);
  };
  for (const source of sources) visit(source);
  return heirs;
}

function ownerOf(symbol: ts.Symbol, checker: ts.TypeChecker): ts.Type | undefined {
  const parent = symbol.declarations?.[0]?.parent;
  return parent === undefined ? undefined : checker.getTypeAtLocation(parent);
}

/** Used itself, or by the same name on a type that its class, or one that extends it, can stand for. */
function isUsed(member: Member, uses: Uses, heirs: Heirs, checker: ts.TypeChecker): boolean {
  const named = uses.get(member.symbol.name);
  if (named === undefined) return false;
  if (named.has(member.symbol)) return true;
  const owners = [member.owner, ...(heirs.get(member.owner) ?? [])];
  for (const symbol of named) {
    const used = ownerOf(symbol, checker);
    if (used === undefined) continue;
    if (owners.some((owner) => checker.isTypeAssignableTo(owner, used))) return true;
    // A class below, whose code calls the member as its own.
    if (checker.isTypeAssignableTo(used, member.owner)) return true;
  }
  return false;
}

/** Members declared in the files of `judged` that no file of the program uses. */
function findUnused(program: ts.Program, judged: (path: string) => boolean): Member[] {
  const checker = program.getTypeChecker();
  const sources = program.getSourceFiles().filter((source) => !source.isDeclarationFile);
  const uses = collectUses(sources, checker);
  const heirs = collectHeirs(sources, checker);
  const members = collectMembers(
    sources.filter((source) => judged(source.fileName)),
    checker,
  );
  return members.filter((member) => !isUsed(member, uses, heirs, checker));
}

/** Names that C registers in the addon's tables and no TypeScript interface declares, or the reverse. */
function addonDifferences(): string[] {
  const folder = join(root, 'native/addon');
  const read = (ending: string): string =>
    readdirSync(folder)
      .filter((file) => file.endsWith(ending))
      .map((file) => readFileSync(join(folder, file), 'utf8'))
      .join('\n');
  const registered = new Set(
    [...read('.c').matchAll(/\{"(\w+)", \w+\}/g)].map(([, name]) => name as string),
  );
  const declared = new Set(
    [...read('.ts').matchAll(/^ {2}(\w+)\(/gm)].map(([, name]) => name as string),
  );
  return [
    ...[...registered].filter((name) => !declared.has(name)).map((name) => `${name}: only in C`),
    ...[...declared].filter((name) => !registered.has(name)).map((name) => `${name}: not in C`),
    ...(registered.size === 0 ? ['no function of the addon was found'] : []),
  ].map((text) => `native/addon: ${text}`);
}

const planted = `
  interface Shape { area(): number; }
  abstract class Rectangle {
    side = 2;
    area(): number { return this.side ** 2; }
    nobodyAsks(): number { return 1; }
  }
  class Square extends Rectangle implements Shape {
    lonely = 3;
  }
  const shape: Shape = new Square();
  shape.area();
`;

function selfTestProblems(): string[] {
  const program = plantedProgram(new Map([['/planted.ts', planted]]));
  const found = findUnused(program, (path) => path === '/planted.ts').map(({ name }) => name);
  return found.join(' ') === 'nobodyAsks lonely'
    ? []
    : [`check-members: of the planted classes it found '${found.join(' ')}'`];
}

/**
 * Members that nothing uses, entries of `usedUnseen` that nothing needs, and differences to the
 * addon's C.
 */
export function unusedMembers(program: ts.Program): string[] {
  const unused = findUnused(program, isProduct);
  const names = new Set(unused.map(fullName));
  return [
    ...selfTestProblems(),
    ...unused
      .filter((member) => !usedUnseen.has(fullName(member)))
      .map((member) => {
        const place = `${relative(root, member.file)}:${member.line}`;
        return `${place}: nothing uses ${fullName(member)}`;
      }),
    ...[...usedUnseen.keys()]
      .filter((name) => !names.has(name))
      .map(
        (name) => `tools/check-members.ts: ${name} is listed, but its use is seen or it is gone`,
      ),
    ...addonDifferences(),
  ];
}
