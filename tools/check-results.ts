// One convention for results and constants, which the compiler alone does not hold: isErrno is the
// one way to ask whether something failed, no cast makes a result, constants come from abi/,
// restart codes and poll bits go by name.
import { findViolations } from './result-rules.ts';
import { root, treeProgram } from './tree-program.ts';

interface Exception {
  readonly file: string;
  readonly rule: string;
  readonly why: string;
}

/** Each must be in use: one that nothing needs any more is an error too. */
const exceptions: readonly Exception[] = [];

const findings = findViolations(treeProgram(), root);
const isMeant = (exception: Exception, { file, rule }: { file: string; rule: string }): boolean =>
  exception.file === file && exception.rule === rule;
const wrong = findings.filter((finding) => !exceptions.some((entry) => isMeant(entry, finding)));
const idle = exceptions.filter((entry) => !findings.some((finding) => isMeant(entry, finding)));
for (const { file, line, rule, text, advice } of wrong)
  console.log(`${file}:${line}: ${rule}: ${text}: ${advice}`);
for (const { file, rule } of idle)
  console.log(`${file}: needs its exception from '${rule}' no more`);
if (wrong.length > 0 || idle.length > 0) process.exitCode = 1;
