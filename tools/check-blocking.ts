// SPDX-License-Identifier: Apache-2.0
// A call that may sleep answers a generator, and a generator that nobody runs does nothing: forgetting
// `yield*` before one passes the compiler and every linter. Here an expression statement whose type is
// or may be a Blocking is an error. Each run first judges planted mistakes, to prove that the check bites.
import ts from 'typescript';
import { plantedProgram, root } from './tree-program.ts';

interface Finding {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** True for a generator, and for a union that has one among its members. */
function mayBeGenerator(type: ts.Type): boolean {
  if (type.isUnion()) return type.types.some(mayBeGenerator);
  const name = type.getSymbol()?.getName();
  return name === 'Generator' || name === 'AsyncGenerator';
}

/** `f();`, `void f();` and the last operand of `x && f();` drop their value. */
function droppedExpressions(expression: ts.Expression): readonly ts.Expression[] {
  if (ts.isParenthesizedExpression(expression)) return droppedExpressions(expression.expression);
  if (ts.isVoidExpression(expression)) return droppedExpressions(expression.expression);
  if (ts.isConditionalExpression(expression)) {
    return [
      ...droppedExpressions(expression.whenTrue),
      ...droppedExpressions(expression.whenFalse),
    ];
  }
  if (ts.isBinaryExpression(expression)) {
    const kind = expression.operatorToken.kind;
    if (kind === ts.SyntaxKind.CommaToken) {
      return [...droppedExpressions(expression.left), ...droppedExpressions(expression.right)];
    }
    const lazy =
      kind === ts.SyntaxKind.AmpersandAmpersandToken ||
      kind === ts.SyntaxKind.BarBarToken ||
      kind === ts.SyntaxKind.QuestionQuestionToken;
    return lazy ? droppedExpressions(expression.right) : [];
  }
  return [expression];
}

function findDropped(program: ts.Program, wanted: (path: string) => boolean): Finding[] {
  const checker = program.getTypeChecker();
  const findings: Finding[] = [];
  for (const source of program.getSourceFiles()) {
    if (!wanted(source.fileName)) continue;
    const visit = (node: ts.Node): void => {
      if (ts.isExpressionStatement(node)) {
        for (const dropped of droppedExpressions(node.expression)) {
          if (!ts.isCallExpression(dropped)) continue;
          if (!mayBeGenerator(checker.getTypeAtLocation(dropped))) continue;
          const { line } = source.getLineAndCharacterOfPosition(dropped.getStart());
          findings.push({ file: source.fileName, line: line + 1, text: dropped.getText() });
        }
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return findings;
}

function selfTestProblem(): string[] {
  const text = `
    function* sleepy(): Generator<number, number, string> { return 1; }
    function maybe(): number | Generator<number, number, string> { return 1; }
    function plain(): number { return 1; }
    function* caller(on: boolean): Generator<number, number, string> {
      sleepy();
      maybe();
      void sleepy();
      on && maybe();
      on ? plain() : sleepy();
      plain();
      yield* sleepy();
      const kept = maybe();
      return yield* sleepy();
    }`;
  const program = plantedProgram(new Map([['/planted.ts', text]]));
  const lines = findDropped(program, (path) => path === '/planted.ts').map(({ line }) => line);
  return lines.join() === '6,7,8,9,10'
    ? []
    : [`check-blocking: planted mistakes were found in lines ${lines.join()}, not 6 to 10`];
}

/** Calls that may sleep and whose generator nobody runs. */
export function droppedGenerators(program: ts.Program): string[] {
  const ours = (path: string): boolean => path.startsWith(root) && !path.includes('node_modules');
  const found = findDropped(program, ours).map(
    ({ file, line, text }) =>
      `${file.slice(root.length + 1)}:${line}: dropped, needs yield*: ${text}`,
  );
  return [...selfTestProblem(), ...found];
}
