// SPDX-License-Identifier: Apache-2.0
// One convention for results and constants, which the compiler alone does not hold: isErrno is the
// one way to ask whether something failed, no cast makes a result, constants come from abi/,
// restart codes and poll bits go by name.
import type ts from 'typescript';
import { findViolations } from './result-rules.ts';
import { root } from './tree-program.ts';

interface Exception {
  readonly file: string;
  readonly rule: string;
  readonly why: string;
}

/** Each must be in use: one that nothing needs any more is an error too. */
const exceptions: readonly Exception[] = [];

type Place = Pick<Exception, 'file' | 'rule'>;

function isMeant(exception: Exception, { file, rule }: Place): boolean {
  return exception.file === file && exception.rule === rule;
}

/** Breaches of the convention, and exceptions from it that nothing needs. */
export function brokenConventions(program: ts.Program): string[] {
  const findings = findViolations(program, root);
  const wrong = findings.filter((finding) => !exceptions.some((entry) => isMeant(entry, finding)));
  const idle = exceptions.filter((entry) => !findings.some((finding) => isMeant(entry, finding)));
  return [
    ...wrong.map(
      ({ file, line, rule, text, advice }) => `${file}:${line}: ${rule}: ${text}: ${advice}`,
    ),
    ...idle.map(({ file, rule }) => `${file}: needs its exception from '${rule}' no more`),
  ];
}
