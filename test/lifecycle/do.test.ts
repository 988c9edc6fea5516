// `runts do` as a shell user sees it: exit codes, signals, streams, bad input.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { firstOutput, runts, runtsPath, start, startSleeper, until } from './command.ts';
import { everyProcess, isAlive, processState } from './sandbox-processes.ts';

describe('exit codes', () => {
  const cases: readonly (readonly [string, readonly string[], number])[] = [
    ['success', ['true'], 0],
    ['failure', ['sh', '-c', 'exit 7'], 7],
    ['a signal', ['sh', '-c', 'kill -TERM $$'], 128 + 15],
    ['not found', ['no-such-program'], 127],
    ['not found by path', ['/no/such/program'], 127],
    ['not executable', ['/etc/passwd'], 126],
    ['a directory', ['/etc'], 126],
  ];
  for (const [name, command, code] of cases) {
    it(`${code} for ${name}`, async () => {
      const finished = await runts('do', '--', ...command);
      expect(finished, finished.stderr).toMatchObject({ code });
    });
  }
});

describe('signals', () => {
  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)('%s reaches the program', async (signal) => {
    const script = `trap 'echo got; exit 9' ${signal.slice(3)}; echo ready; while :; do sleep 0.05; done`;
    const running = start(['do', '--', 'sh', '-c', script]);
    await firstOutput(running);
    running.child.kill(signal);
    expect(await running.finished).toMatchObject({ code: 9, stdout: 'ready\ngot\n' });
  });

  it('without a handler ends the sandbox', async () => {
    const sandbox = await startSleeper();
    sandbox.child.kill('SIGTERM');
    expect((await sandbox.finished).code).toBe(128 + 15);
    expect(everyProcess(sandbox.processes).filter(isAlive)).toEqual([]);
  });
});

describe('a stop by the shell', () => {
  it('stops the program and the command line; SIGCONT lets both go on', async () => {
    const running = start(['do', '--', 'sh', '-c', 'while :; do echo tick; sleep 0.05; done']);
    const { child } = running;
    let ticks = 0;
    child.stdout?.on('data', () => {
      ticks += 1;
    });
    await until(() => ticks > 2);
    child.kill('SIGTSTP');
    await until(() => processState(child.pid as number) === 'T');
    // What was written before is still to be read.
    let stoppedAt = -1;
    for (let looks = 0; looks < 20 && stoppedAt !== ticks; looks++) {
      stoppedAt = ticks;
      await sleep(300);
    }
    expect(ticks).toBe(stoppedAt);
    child.kill('SIGCONT');
    await until(() => ticks > stoppedAt + 3);
    child.kill('SIGTERM');
    expect((await running.finished).code).toBe(128 + 15);
  });

  it.each([
    ['TSTP', 20],
    ['TTIN', 21],
    ['STOP', 19],
  ])('a job that stops by SIG%s stops as that for its shell', (name, number) => {
    const script = `import os, sys
os.setsid()
pid = os.fork()
if pid == 0:
    os.setpgid(0, 0)
    os.execv(sys.argv[1], sys.argv[1:])
status = os.waitpid(pid, os.WUNTRACED)[1]
os.kill(pid, 18)
print(os.WSTOPSIG(status), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))`;
    const guest = ['do', '--', 'sh', '-c', `kill -${name} $$; exit 4`];
    const ran = spawnSync('python3', ['-c', script, runtsPath, ...guest], {
      encoding: 'utf8',
      timeout: 200_000,
    });
    expect(ran.stdout).toBe(`${number} 4\n`);
  });
});

describe('streams', () => {
  it('pass through', async () => {
    const { finished } = start(['do', '--', 'sh', '-c', 'cat; echo error >&2'], {
      input: 'some input\n',
    });
    expect(await finished).toMatchObject({ code: 0, stdout: 'some input\n', stderr: 'error\n' });
  });

  it('carry much output', async () => {
    const { finished } = start(['do', '--', 'sh', '-c', 'head -c 3000000 /dev/zero | tr "\\0" x']);
    expect((await finished).stdout.length).toBe(3_000_000);
  });
});

describe('options', () => {
  it('--env, --cwd, --hostname', async () => {
    const finished = await runts(
      'do',
      '--env',
      'A=b c',
      '--cwd',
      '/usr',
      '--hostname',
      'box',
      '--',
      'sh',
      '-c',
      'echo "$A" $PWD $(uname -n)',
    );
    expect(finished.stdout).toBe('b c /usr box\n');
  });

  it('--user', async () => {
    const finished = await runts(
      'do',
      '--user',
      '1234:567',
      '--',
      'sh',
      '-c',
      'id -u; id -g; grep CapEff /proc/self/status',
    );
    expect(finished.stdout).toBe('1234\n567\nCapEff:\t0000000000000000\n');
  });

  it('--volume and --tmpfs make the places that are missing', async () => {
    const script = 'cat /new/deep/hostname; stat -f -c %T /other/place';
    const file = ['--volume', '/etc/hostname:/new/deep/hostname:ro'];
    const finished = await runts(
      'do',
      ...file,
      '--tmpfs',
      '/other/place',
      '--',
      'sh',
      '-c',
      script,
    );
    expect(finished.stdout).toBe(`${readFileSync('/etc/hostname', 'latin1')}tmpfs\n`);
  });

  it('--timeout', async () => {
    const finished = await runts('do', '--timeout', '300ms', '--', 'sleep', '1000');
    expect(finished).toMatchObject({ code: 124, stderr: 'runts: timed out after 0.3 s\n' });
  });
});

describe('a damaged program', () => {
  const directory = mkdtempSync(join(tmpdir(), 'runts-damaged-'));
  afterAll(() => rmSync(directory, { recursive: true }));
  const make = (name: string, content: Uint8Array | string): string => {
    const path = join(directory, name);
    writeFileSync(path, content, { mode: 0o755 });
    return path;
  };
  const shell = readFileSync('/bin/sh');
  const truncated = make('truncated', shell.subarray(0, 3000));
  const header = make('header', shell.subarray(0, 40));
  const noise = make('noise', Buffer.concat([shell.subarray(0, 64), Buffer.alloc(5000, 0xa5)]));
  const script = make('script', `#!${truncated}\necho hi\n`);

  it.each([truncated, header, noise, script])('%s is one line and 126', async (path) => {
    const finished = await runts('do', '--', path);
    expect(finished.code, finished.stderr).toBe(126);
    expect(finished.stderr).toMatch(/^runts: .*: (Damaged program|Exec format error)[^\n]*\n$/);
  });
});

describe('a full disk', () => {
  it('costs the trace, not the program', async () => {
    const finished = await runts('do', '--strace=/dev/full', '--', 'echo', 'hi');
    expect(finished).toMatchObject({
      code: 0,
      stdout: 'hi\n',
      stderr: 'runts: --strace: No space left on device\n',
    });
  });
});

describe('bad input is one line and an exit code', () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /no command/],
    [['do'], /no command/],
    [['do', '--no-such-flag', 'true'], /unknown option/],
    [['do', '--volume', '/no/such:/mnt', 'true'], /No such file/],
    [['do', '--volume', 'x', 'true'], /SOURCE:TARGET/],
    [['do', '--root', '/etc/passwd', 'true'], /Not a directory/],
    [['do', '--memory', 'much', 'true'], /not a size/],
    [['do', '--platform', 'kvm', 'true'], /'kvm' is not supported yet/],
    [['do', '--network', 'bridge', 'true'], /'bridge' is not supported yet/],
    [['do', '--debug-log', '/dev/full', 'true'], /No space left/],
    [['do', '--user', 'root', 'true'], /numeric/],
  ];
  it('an unknown verb might be an engine’s, for which it is 1', async () => {
    const finished = await runts('frobnicate');
    expect(finished).toMatchObject({ code: 1, stdout: '' });
    expect(finished.stderr).toMatch(/^runts: .*frobnicate.*\n$/);
  });

  it.each(cases)('runts %j', async (args, says) => {
    const finished = await runts(...args);
    expect(finished.code).toBe(125);
    expect(finished.stderr).toMatch(says);
    expect(finished.stderr).toMatch(/^runts: .*\n$/);
    expect(finished.stdout).toBe('');
  });
});
