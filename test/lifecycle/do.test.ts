// SPDX-License-Identifier: Apache-2.0
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

describe('limits', () => {
  it("are the caller's", async () => {
    const script = 'ulimit -S -n 333; ulimit -H -n 4444; ulimit -S -s 4096; ulimit -S -f 5000';
    const inside =
      'ulimit -Sn; ulimit -Hn; ulimit -Ss; ulimit -Sf; env | grep -v NURSERY | grep -c RUNTS_';
    const ran = spawnSync(
      'bash',
      ['-c', `${script}; exec "$0" do -- bash -c '${inside}'`, runtsPath],
      { encoding: 'utf8', timeout: 200_000 },
    );
    expect(ran.stdout, ran.stderr).toBe('333\n4444\n4096\n5000\n0\n');
  });
});

describe('a command without a terminal', () => {
  it('is a job of a session, and no leader that a terminal it opens could be taken from', async () => {
    const script = `import os, pty
master, slave = pty.openpty()
print(os.getpgrp() == os.getpid(), os.getsid(0) == os.getpid())
name = os.ttyname(slave)
os.close(slave)
slave = os.open(name, os.O_RDWR)
os.close(master)
try:
    os.open('/dev/tty', os.O_RDWR)
except OSError as error:
    print(error.errno)
print('alive')`;
    const finished = await runts('do', '--', 'python3', '-c', script);
    expect(finished, finished.stderr).toMatchObject({ code: 0, stdout: 'True False\n6\nalive\n' });
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

  it('those of docker run', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'runts-options-'));
    const script = 'echo "$A" "$B" "${C-none}" $PWD; cat given; echo mine > made';
    writeFileSync(join(directory, 'given'), 'content\n');
    const words = [
      '-i',
      '-v',
      directory,
      '-w',
      directory,
      '-e',
      'A=1',
      '-e',
      'B',
      '-e',
      'C',
      '-m',
      '1G',
    ];
    const enter = ['env', '-u', 'C', 'B=from outside'];
    const finished = await start(['do', ...words, 'sh', '-c', script], { enter }).finished;
    expect(finished.stdout).toBe(`1 from outside none ${directory}\ncontent\n`);
    expect(readFileSync(join(directory, 'made'), 'utf8')).toBe('mine\n');
    rmSync(directory, { recursive: true });
  });

  it('--clear-env with --env NAME passes that one on', async () => {
    const enter = ['env', 'ONE=a=b', 'TWO=c'];
    const words = ['do', '--clear-env', '-e', 'ONE', '--', '/usr/bin/env'];
    expect((await start(words, { enter }).finished).stdout).toBe('ONE=a=b\n');
  });

  it("--user by names of the guest's own files", async () => {
    const directory = mkdtempSync(join(tmpdir(), 'runts-users-'));
    const files: readonly string[] = ['passwd', 'group'].flatMap((name) => [
      '-v',
      `${join(directory, name)}:/etc/${name}:ro`,
    ]);
    writeFileSync(join(directory, 'passwd'), 'bad:x:no\nada:x:1815:1852::/:/bin/sh\n');
    writeFileSync(join(directory, 'group'), 'engine:x:77:bob,ada\nother:x:78:bob\n');
    const script = "grep -E '^(Uid|Gid|Groups|CapEff)' /proc/self/status | tr -s '\\t ' ' '";
    const look = async (user: string): Promise<string> =>
      (await runts('do', ...files, '-u', user, '--', 'sh', '-c', script)).stdout;
    const none = 'CapEff: 0000000000000000\n';
    expect(await look('ada')).toBe(
      `Uid: 1815 1815 1815 1815\nGid: 1852 1852 1852 1852\nGroups: 77 1852 \n${none}`,
    );
    expect(await look('ada:other')).toBe(
      `Uid: 1815 1815 1815 1815\nGid: 78 78 78 78\nGroups: 78 \n${none}`,
    );
    expect(await look('5:engine')).toBe(`Uid: 5 5 5 5\nGid: 77 77 77 77\nGroups: 77 \n${none}`);
    rmSync(directory, { recursive: true });
  });

  it('--timeout', async () => {
    const finished = await runts('do', '--timeout', '300ms', '--', 'sleep', '1000');
    expect(finished).toMatchObject({ code: 124, stderr: 'runts: timed out after 0.3 s\n' });
  });
});

describe('a running sandbox', () => {
  it('is listed, and has its processes and signals by that name', async () => {
    const sandbox = await startSleeper();
    const id = `do-${sandbox.child.pid}`;
    const table = await runts('list');
    expect(table.stdout).toMatch(
      new RegExp(`^${id} +${sandbox.child.pid} +running +sh -c echo ready; sleep 1000 +2`, 'm'),
    );
    expect((await runts('list', '-q')).stdout.split('\n')).toContain(id);
    expect((await runts('--root', '/run/no-such-root', 'list', '-q')).stdout).toBe('');
    const pids = JSON.parse((await runts('ps', '-f', 'json', id)).stdout) as number[];
    expect(pids).toEqual(expect.arrayContaining(everyProcess(sandbox.processes)));
    expect((await runts('kill', id, 'TERM')).code).toBe(0);
    expect((await sandbox.finished).code).toBe(128 + 15);
    expect((await runts('list', '-q')).stdout.split('\n')).not.toContain(id);
    expect(await runts('kill', id)).toMatchObject({ code: 1 });
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

describe('--strace', () => {
  const directory = mkdtempSync(join(tmpdir(), 'runts-strace-'));
  afterAll(() => rmSync(directory, { recursive: true }));
  const script = join(directory, 'script.sh');
  const text = '#!/bin/sh\necho "ran $1"\n';
  writeFileSync(script, text, { mode: 0o755 });
  const inside = ['sh', '-c', 'cd "$0" && exec "$@"', directory];

  it('takes no word for a file: the program runs, and the trace is a new file', async () => {
    const running = start(['do', '--strace', './script.sh', 'it'], { enter: inside });
    const trace = `runts-strace.${running.child.pid}.log`;
    expect(await running.finished).toMatchObject({
      code: 0,
      stdout: 'ran it\n',
      stderr: `runts: --strace: system calls are written to ${trace}\n`,
    });
    expect(readFileSync(script, 'utf8')).toBe(text);
    expect(readFileSync(join(directory, trace), 'utf8')).toMatch(/exited with 0/);
  });

  it('=FILE is written over, =- is standard error', async () => {
    const trace = join(directory, 'trace');
    writeFileSync(trace, 'old\n');
    const toFile = await runts('do', `--strace=${trace}`, 'true');
    expect(toFile).toMatchObject({ code: 0, stderr: '' });
    expect(readFileSync(trace, 'utf8')).not.toContain('old');
    const toError = await runts('do', '--strace=-', 'true');
    expect(toError.stderr).toMatch(/exited with 0/);
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
    [['do', '--volume', ':x', 'true'], /SOURCE:TARGET/],
    [['do', '--volume', '/etc:x', 'true'], /'x' is not absolute/],
    [['do', '--', ''], /command is empty/],
    [['do', '-t', 'true'], /not a terminal/],
    [['do', '--env', '=x', 'true'], /NAME=VALUE/],
    [['do', '-p', '80:80', 'true'], /--publish wants --network user/],
    [['do', '--ro-bind', '/a', '/b', 'true'], /unknown option '--ro-bind'; use --volume/],
    [['help', 'nosuch'], /no command 'nosuch'/],
    [['help', 'debug', 'nosuch'], /no command 'debug nosuch'/],
    [['debug', 'nosuch'], /no subject 'nosuch'/],
    [['do', '--root', '/etc/passwd', 'true'], /Not a directory/],
    [['do', '--memory', 'much', 'true'], /not a size/],
    [['do', '--platform', 'kvm', 'true'], /kvm is not there yet/],
    [['do', '--network', 'bridge', 'true'], /'bridge' is not supported yet/],
    [['do', '--debug-log', '/dev/full', 'true'], /No space left/],
    [['do', '--user', 'no-such-user', 'true'], /no user 'no-such-user' in \/etc\/passwd/],
    [['do', '--user', 'root:no-such', 'true'], /no group 'no-such' in \/etc\/group/],
    [['do', '--user', ':', 'true'], /USER:GROUP/],
  ];
  it('an unknown verb might be an engine’s, for which it is 3 as with runc', async () => {
    const finished = await runts('frobnicate');
    expect(finished).toMatchObject({ code: 3, stdout: '' });
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
