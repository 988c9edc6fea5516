// SPDX-License-Identifier: Apache-2.0
// The Sentry has a descriptor of the host for each file of the host that is open inside: what
// becomes of a guest that has more of them open than the Sentry may have.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { start } from './command.ts';

const dir = mkdtempSync('/tmp/runts-descriptors-');
const binary = join(dir, 'open-all');
const LIMIT = 400;
const FILES = 600;

const source = `
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>
static int open_file(int i) {
  char path[64];
  snprintf(path, sizeof path, "${dir}/files/%d", i);
  return open(path, O_RDONLY);
}
int main(void) {
  /* The guest's own limit is not what is met first. */
  struct rlimit limit = {10000, 10000};
  setrlimit(RLIMIT_NOFILE, &limit);
  static int fds[${FILES}];
  int count = 0;
  while (count < ${FILES} && (fds[count] = open_file(count)) >= 0) count++;
  printf("%d %d\\n", count > 100 && count < ${LIMIT}, errno);
  for (int i = 0; i < count; i++) close(fds[i]);
  int opened = 0;
  for (int i = 0; i < ${FILES}; i++) {
    char byte;
    int fd = open_file(i);
    opened += read(fd, &byte, 1) == 1;
    close(fd);
  }
  printf("%d\\n", opened);
}
`;

beforeAll(() => {
  mkdirSync(join(dir, 'files'));
  for (let i = 0; i < FILES; i += 1) writeFileSync(join(dir, `files/${i}`), 'x');
  writeFileSync(join(dir, 'source.c'), source);
  execFileSync('gcc', ['-o', binary, join(dir, 'source.c')]);
});
afterAll(() => rmSync(dir, { recursive: true }));

it('the call that needs one more fails, and nobody is the worse for it afterwards', async () => {
  const { finished } = start(['do', '--', binary], { enter: ['prlimit', `--nofile=${LIMIT}`] });
  expect(await finished).toMatchObject({ code: 0, stdout: `1 23\n${FILES}\n` });
});
