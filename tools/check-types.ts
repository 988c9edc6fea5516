// SPDX-License-Identifier: Apache-2.0
// The compiler's own verdict and every check that needs its types, over one reading of the tree:
// reading it takes most of the time.
import ts from 'typescript';
import { droppedGenerators } from './check-blocking.ts';
import { unusedMembers } from './check-members.ts';
import { brokenConventions } from './check-results.ts';
import { root, treeProgram } from './tree-program.ts';

const program = treeProgram();
const host: ts.FormatDiagnosticsHost = {
  getCurrentDirectory: () => root,
  getCanonicalFileName: (name) => name,
  getNewLine: () => '\n',
};
const diagnostics = ts.getPreEmitDiagnostics(program);
const problems = [
  ...(diagnostics.length === 0 ? [] : [ts.formatDiagnostics(diagnostics, host)]),
  ...droppedGenerators(program),
  ...unusedMembers(program),
  ...brokenConventions(program),
];
for (const problem of problems) console.log(problem);
const ours = program.getSourceFiles().filter((source) => !source.isDeclarationFile).length;
console.log(`${ours} files, ${problems.length} problems`);
if (ours === 0 || problems.length > 0) process.exitCode = 1;
