// SPDX-License-Identifier: Apache-2.0
// --memory binds: what has too much is killed, and only that.
import { describe, expect, it } from 'vitest';
import { run, runts } from '../support/run.ts';

const eat = (mebibytes: number): string =>
  `import sys; x = [bytearray(1 << 20) for _ in range(${mebibytes})]; print(len(x))`;

describe('--memory', () => {
  it('lets a program use what it may', async () => {
    const command = [runts, 'do', '--memory', '400M', '--', '/usr/bin/python3', '-c', eat(200)];
    const outcome = await run(command);
    expect(outcome).toMatchObject({ code: 0, stdout: '200\n' });
  });

  it('kills the program that takes more, and tells its parent', async () => {
    const script = `/usr/bin/python3 -c '${eat(4000)}'; echo status $?; free -m | awk '/Mem/ {print $2}'`;
    const outcome = await run([runts, 'do', '--memory', '200M', '--', '/bin/sh', '-c', script]);
    expect(outcome).toMatchObject({ code: 0, stdout: 'status 137\n200\n' });
  });

  it('answers the death of the main program by signal 9', async () => {
    const command = [runts, 'do', '--memory', '200M', '--', '/usr/bin/python3', '-c', eat(4000)];
    const outcome = await run(command);
    expect(outcome.code).toBe(137);
  });
});
