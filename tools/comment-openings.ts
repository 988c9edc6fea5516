// SPDX-License-Identifier: Apache-2.0
// Doc comments that begin with a word which leaves subject and verb to the reader ("What is left of it.").
import { findComments } from './comments.ts';

const product = /^(?:abi|protocol|sentry|gofer|native|platform-ptrace|platform-kvm|runts)\//;
const tests = /\.test\.ts$|\/test\//;
const opening = /^\/\*\*[\s*]*(What|Who|Whoever|As|Of)\b/;

/** Returns the line (from 1 on) and the word of each doc comment of the product that begins so. */
export function badOpenings(file: string, text: string): { line: number; word: string }[] {
  if (!file.endsWith('.ts') || !product.test(file) || tests.test(file)) return [];
  return findComments(file, text).flatMap(({ start, end }) => {
    const word = opening.exec(text.slice(start, end))?.[1];
    return word === undefined ? [] : [{ line: text.slice(0, start).split('\n').length, word }];
  });
}
