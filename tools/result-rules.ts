// SPDX-License-Identifier: Apache-2.0
// What tools/check-results.ts forbids, as functions over the compiler's types. A rule looks at one
// node and says what is wrong with it, if anything.
import { join } from 'node:path';
import ts from 'typescript';

export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly rule: string;
  readonly text: string;
  readonly advice: string;
}

interface Tree {
  readonly checker: ts.TypeChecker;
  /** Names of the constants that abi/ exports, and the module of each. */
  readonly constants: ReadonlyMap<string, string>;
}

type Rule = (node: ts.Node, tree: Tree) => string | undefined;

const RESTART_CODES: ReadonlySet<string> = new Set(['512', '513', '514', '516']);
const RESULT_TYPES: ReadonlySet<string> = new Set(['Errno', 'Success', 'SysResult', 'Result']);

function members(type: ts.Type): readonly ts.Type[] {
  return type.isUnion() ? type.types.flatMap(members) : [type];
}

/** True for a type that has Errno or Success among its members: abi/errno.ts marks both with `outcome`. */
function isOutcome(type: ts.Type): boolean {
  const isMarked = (property: ts.Symbol): boolean => property.name.startsWith('__@outcome@');
  return members(type).some((part) => part.isIntersection() && part.getProperties().some(isMarked));
}

/** A handler's answer may be a generator: to ask for a number there is to ask whether the call sleeps. */
function maySleep(type: ts.Type): boolean {
  return members(type).some((part) => part.getSymbol()?.getName() === 'Generator');
}

function isNumeral(node: ts.Node): boolean {
  if (ts.isPrefixUnaryExpression(node)) return isNumeral(node.operand);
  if (ts.isParenthesizedExpression(node)) return isNumeral(node.expression);
  if (ts.isBinaryExpression(node)) return isNumeral(node.left) || isNumeral(node.right);
  return ts.isNumericLiteral(node);
}

const equality: ReadonlySet<ts.SyntaxKind> = new Set([
  ts.SyntaxKind.EqualsEqualsToken,
  ts.SyntaxKind.EqualsEqualsEqualsToken,
  ts.SyntaxKind.ExclamationEqualsToken,
  ts.SyntaxKind.ExclamationEqualsEqualsToken,
]);

const typeofTest: Rule = (node, { checker }) => {
  if (!ts.isTypeOfExpression(node)) return undefined;
  const test = node.parent;
  if (!ts.isBinaryExpression(test) || !equality.has(test.operatorToken.kind)) return undefined;
  const type = checker.getTypeAtLocation(node.expression);
  return isOutcome(type) && !maySleep(type) ? 'ask isErrno whether something failed' : undefined;
};

/** What a comparison with 0 or -1 tests for being negative; undefined for other comparisons. */
function signTest(node: ts.BinaryExpression): ts.Expression | undefined {
  const { left, right, operatorToken } = node;
  const [before, after] = [left.getText(), right.getText()];
  switch (operatorToken.kind) {
    case ts.SyntaxKind.LessThanToken:
      return after === '0' ? left : before === '-1' ? right : undefined;
    case ts.SyntaxKind.GreaterThanEqualsToken:
      return after === '0' ? left : before === '-1' ? right : undefined;
    case ts.SyntaxKind.GreaterThanToken:
      return before === '0' ? right : after === '-1' ? left : undefined;
    case ts.SyntaxKind.LessThanEqualsToken:
      return before === '0' ? right : after === '-1' ? left : undefined;
    default:
      return undefined;
  }
}

const comparison: Rule = (node, { checker }) => {
  if (!ts.isBinaryExpression(node)) return undefined;
  const tested = signTest(node);
  if (tested === undefined || !isOutcome(checker.getTypeAtLocation(tested))) return undefined;
  return 'ask isErrno whether something failed';
};

function namesResult(type: ts.TypeNode): boolean {
  if (ts.isUnionTypeNode(type)) return type.types.some(namesResult);
  if (ts.isParenthesizedTypeNode(type)) return namesResult(type.type);
  return ts.isTypeReferenceNode(type) && RESULT_TYPES.has(type.typeName.getText());
}

const cast: Rule = (node) =>
  (ts.isAsExpression(node) || ts.isTypeAssertionExpression(node)) && namesResult(node.type)
    ? 'no cast makes a result: narrow by isErrno, or toErrno'
    : undefined;

const constant: Rule = (node, { constants }) => {
  if (!ts.isVariableDeclaration(node) || !ts.isIdentifier(node.name)) return undefined;
  const home = constants.get(node.name.text);
  return home === undefined ? undefined : `import ${node.name.text} from ${home}`;
};

const restart: Rule = (node) =>
  ts.isPrefixUnaryExpression(node) &&
  node.operator === ts.SyntaxKind.MinusToken &&
  RESTART_CODES.has(node.operand.getText().replaceAll('_', ''))
    ? 'restart codes go by name (abi/errno.ts)'
    : undefined;

/** Whoever takes a mask of POLL* bits calls the parameter `events` or `mask` (base/wait.ts). */
const pollBits: Rule = (node, { checker }) => {
  if (!ts.isCallExpression(node)) return undefined;
  const called = node.expression;
  const name = ts.isPropertyAccessExpression(called) ? called.name.text : called.getText();
  if (!['wake', 'notify', 'join', 'sleepOn'].includes(name)) return undefined;
  const parameters = checker.getResolvedSignature(node)?.getParameters() ?? [];
  const isBare = node.arguments.some((argument, index) => {
    const parameter = parameters[index]?.getName();
    return (parameter === 'events' || parameter === 'mask') && isNumeral(argument);
  });
  return isBare ? 'poll bits go by name (abi/poll.ts)' : undefined;
};

const rules: Readonly<Record<string, Rule>> = {
  typeof: typeofTest,
  comparison,
  cast,
  constant,
  restart,
  'poll bits': pollBits,
};

/** Constants begin with a capital, behind underscores if need be; functions and layouts do not. */
function exportedConstants(program: ts.Program, abi: string): Map<string, string> {
  const checker = program.getTypeChecker();
  const constants = new Map<string, string>();
  for (const source of program.getSourceFiles()) {
    const module = checker.getSymbolAtLocation(source);
    if (!source.fileName.startsWith(abi) || module === undefined) continue;
    for (const { name, flags } of checker.getExportsOfModule(module)) {
      const isConstant = (flags & ts.SymbolFlags.Variable) !== 0 && /^_*[A-Z]/.test(name);
      if (isConstant) constants.set(name, `abi/${source.fileName.slice(abi.length)}`);
    }
  }
  return constants;
}

/** Everything the rules forbid in the files below `root`, but for abi/errno.ts, where results are made. */
export function findViolations(program: ts.Program, root: string): Finding[] {
  const abi = join(root, 'abi/');
  const checker = program.getTypeChecker();
  const constants = exportedConstants(program, abi);
  const none = new Map<string, string>();
  const findings: Finding[] = [];
  for (const source of program.getSourceFiles()) {
    const { fileName } = source;
    const isOurs = fileName.startsWith(join(root, '/')) && !fileName.includes('/node_modules/');
    if (!isOurs || fileName === join(abi, 'errno.ts')) continue;
    const tree = { checker, constants: fileName.startsWith(abi) ? none : constants };
    const visit = (node: ts.Node): void => {
      for (const [name, rule] of Object.entries(rules)) {
        const advice = rule(node, tree);
        if (advice === undefined) continue;
        const line = source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1;
        const text = node.getText(source).split('\n')[0] ?? '';
        const file = fileName.slice(join(root, '/').length);
        findings.push({ file, line, rule: name, text, advice });
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return findings;
}
