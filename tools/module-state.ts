// SPDX-License-Identifier: Apache-2.0
// Finds state that no object owns: what a module keeps for itself can be left unset without anybody
// noticing, is shared by all that run in one process, and is not seen by whoever copies or ends
// what it belongs to.
import ts from 'typescript';

export interface ModuleState {
  /** `let NAME`, `weak NAME` or `hook NAME`. */
  readonly what: string;
  readonly line: number;
}

/**
 * The module-level `let`s and `var`s, WeakMaps that are keyed state, and functions by which others
 * set a module's state.
 */
export function findModuleState(fileName: string, text: string): ModuleState[] {
  const source = ts.createSourceFile(fileName, text, ts.ScriptTarget.Latest, true);
  const names = moduleVariables(source);
  const found: ModuleState[] = [];
  const report = (kind: string, name: string, node: ts.Node): void => {
    const { line } = source.getLineAndCharacterOfPosition(node.getStart());
    found.push({ what: `${kind} ${name}`, line: line + 1 });
  };
  for (const statement of source.statements) {
    if (ts.isVariableStatement(statement) && !isConstant(statement.declarationList)) {
      for (const { name } of statement.declarationList.declarations)
        report('let', name.getText(), statement);
    }
    if (ts.isFunctionDeclaration(statement) && isExported(statement)) {
      const name = statement.name?.text ?? 'default';
      if (/^(set|use|register|install)[A-Z]/.test(name) && writesTo(names, statement))
        report('hook', name, statement);
    }
  }
  const visit = (node: ts.Node): void => {
    if (ts.isNewExpression(node) && /^Weak(Map|Set)$/.test(node.expression.getText()))
      report('weak', nameOfHolder(node), node);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function isConstant(list: ts.VariableDeclarationList): boolean {
  return (list.flags & ts.NodeFlags.Const) !== 0;
}

function isExported(node: ts.FunctionDeclaration): boolean {
  return node.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) === true;
}

function moduleVariables(source: ts.SourceFile): Set<string> {
  const names = new Set<string>();
  for (const statement of source.statements) {
    if (!ts.isVariableStatement(statement)) continue;
    for (const { name } of statement.declarationList.declarations) names.add(name.getText());
  }
  return names;
}

/** An assignment in it, to a variable of the module or to something of one. */
function writesTo(names: ReadonlySet<string>, node: ts.Node): boolean {
  const isAssignment =
    ts.isBinaryExpression(node) &&
    node.operatorToken.kind >= ts.SyntaxKind.FirstAssignment &&
    node.operatorToken.kind <= ts.SyntaxKind.LastAssignment;
  if (isAssignment && names.has(rootOf(node.left))) return true;
  return ts.forEachChild(node, (child) => writesTo(names, child) || undefined) ?? false;
}

/** `a` of a.b[c].d. */
function rootOf(node: ts.Expression): string {
  if (ts.isPropertyAccessExpression(node) || ts.isElementAccessExpression(node))
    return rootOf(node.expression);
  return node.getText();
}

/** The variable or member that a WeakMap is for. */
function nameOfHolder(node: ts.Node): string {
  for (let at: ts.Node | undefined = node.parent; at !== undefined; at = at.parent) {
    if (ts.isVariableDeclaration(at) || ts.isPropertyDeclaration(at)) return at.name.getText();
    if (ts.isBinaryExpression(at)) return at.left.getText();
  }
  return 'nothing';
}
