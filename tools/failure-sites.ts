// SPDX-License-Identifier: Apache-2.0
// Finds in the command line's source where each family of failures (runts/errors.ts) is thrown, and
// with which messages.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

export interface FailureSite {
  /** Path from the root of the repository. */
  readonly file: string;
  readonly code: string;
  /** With '…' for what is put in; empty where another function makes the text. */
  readonly messages: readonly string[];
}

const CODE = /^RUNTS_E_[A-Z_]+$/;

/**
 * Each use of a code, in order of files and lines: in the command line and in its part that is C
 * (the quick path).
 */
export function findFailureSites(root: string): FailureSite[] {
  const files = globSync(['runts/**/*.ts', 'native/launcher/**/*.c'], { cwd: root }).filter(
    (file) => !file.endsWith('.test.ts') && file !== 'runts/errors.ts',
  );
  return files.sort().flatMap((file) => {
    const text = readFileSync(join(root, file), 'utf8');
    return file.endsWith('.c') ? sitesInC(file, text) : sitesIn(file, text);
  });
}

/** The messages of C are those of TypeScript, whose work it does. */
function sitesInC(file: string, text: string): FailureSite[] {
  return [...text.matchAll(/"(RUNTS_E_[A-Z_]+)"/g)].map(([, code = '']) => ({
    file,
    code,
    messages: [],
  }));
}

export function sitesIn(file: string, text: string): FailureSite[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const sites: FailureSite[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteral(node) && CODE.test(node.text))
      sites.push({ file, code: node.text, messages: messagesBeside(node) });
    ts.forEachChild(node, visit);
  };
  visit(source);
  return sites;
}

function messagesBeside(code: ts.StringLiteral): string[] {
  const call = code.parent;
  if (!ts.isNewExpression(call) && !ts.isCallExpression(call)) return [];
  if (call.arguments?.[0] !== code) return [];
  const text = call.arguments[1];
  return text === undefined ? [] : templatesOf(text);
}

/** The text of an expression as a reader would see it; none where no word of it stands there. */
function templatesOf(expression: ts.Expression): string[] {
  if (ts.isStringLiteralLike(expression)) return [expression.text];
  if (ts.isConditionalExpression(expression))
    return [...templatesOf(expression.whenTrue), ...templatesOf(expression.whenFalse)];
  if (ts.isBinaryExpression(expression)) {
    const [left] = templatesOf(expression.left);
    const [right] = templatesOf(expression.right);
    return left === undefined || right === undefined ? [] : [left + right];
  }
  if (!ts.isTemplateExpression(expression)) return [];
  const spans = expression.templateSpans.map(({ literal }) => `…${literal.text}`);
  return [expression.head.text + spans.join('')];
}
