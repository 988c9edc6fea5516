// SPDX-License-Identifier: Apache-2.0
// Whether system calls are patched: they are, unless the user says otherwise. What patches may not
// change for programs is in test/guest/patched-calls.c, what attackers make of them in
// test/hostile/patched.c.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { start } from './command.ts';

const dir = mkdtempSync('/tmp/runts-patching-');
const binary = join(dir, 'first-byte');

const source = `
#include <stdio.h>
__asm__("site: mov $110,%eax\\nsyscall\\nret\\n");
long site(void);
extern const unsigned char code[] __asm__("site");
int main(void) {
  for (int i = 0; i < 100; i++) site();
  printf("%02x", code[0]);
}
`;

beforeAll(() => {
  writeFileSync(join(dir, 'source.c'), source);
  execFileSync('gcc', ['-o', binary, join(dir, 'source.c')]);
});
afterAll(() => rmSync(dir, { recursive: true }));

it.each([
  { flags: [], first: 'ff' },
  { flags: ['--no-patching'], first: 'b8' },
])('$flags: a site that was called often begins with $first', async ({ flags, first }) => {
  const { finished } = start(['do', ...flags, '--', binary]);
  expect(await finished).toMatchObject({ code: 0, stdout: first });
});
