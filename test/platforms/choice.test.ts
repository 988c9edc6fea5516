// SPDX-License-Identifier: Apache-2.0
// Which platform runs on hosts that lack something, and how a sandbox ends whose tracer is killed.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asUser, runtsFor, uid, userDirectory } from '../support/ordinary-user.ts';
import { run, runts } from '../support/run.ts';

const dir = mkdtempSync(join(tmpdir(), 'runts-platforms-'));
const forbid = join(dir, 'forbid');
afterAll(() => rmSync(dir, { recursive: true }));
beforeAll(() => {
  const source = join(import.meta.dirname, 'forbid.c');
  execFileSync('gcc', ['-O1', '-Wall', '-Wextra', '-Werror', '-o', forbid, source]);
});

/** The end of `runts do --platform PLATFORM` on a host that forbids `what`, and the platform that ran. */
async function tryOn(what: readonly string[], platform: string): Promise<string> {
  const log = join(dir, 'log');
  rmSync(log, { force: true });
  const command = ['do', '--platform', platform, '--debug-log', log, '--', '/bin/echo', 'hi'];
  const { code, stdout, stderr } = await run([forbid, ...what, '--', runts, ...command]);
  if (code !== 0) return `${code} ${stderr.trim()}`;
  const name = /"platform (\w+)"/.exec(readFileSync(log, 'utf8'))?.[1];
  return `${stdout.trim()} by ${name}`;
}

const noPtrace = /^125 runts: platform \w+: .*ptrace is not permitted: by kernel.yama.ptrace_scope/;

describe('a host that allows', () => {
  it('everything runs systrap, and ptrace where that is asked for', async () => {
    expect(await tryOn([], 'auto')).toBe('hi by systrap');
    expect(await tryOn([], 'ptrace')).toBe('hi by ptrace');
  });

  it('no filter with user notification runs ptrace', async () => {
    expect(await tryOn(['listener'], 'auto')).toBe('hi by ptrace');
    expect(await tryOn(['listener'], 'systrap')).toMatch(
      /^125 runts: platform systrap: .* cannot filter system calls: errno 16/,
    );
  });

  it('no copies of descriptors runs ptrace', async () => {
    expect(await tryOn(['getfd'], 'auto')).toBe('hi by ptrace');
    expect(await tryOn(['getfd'], 'systrap')).toMatch(/^125 .*pidfd_getfd is not permitted/);
  });

  it('no ptrace runs systrap', async () => {
    expect(await tryOn(['ptrace'], 'auto')).toBe('hi by systrap');
    expect(await tryOn(['ptrace'], 'ptrace')).toMatch(noPtrace);
  });

  it('neither runs nothing, and says why', async () => {
    expect(await tryOn(['ptrace', 'listener'], 'auto')).toMatch(noPtrace);
  });
});

it.each([
  ['kvm', /^125 runts: --platform: kvm is not there yet; use auto, systrap, ptrace$/],
  ['quick', /^125 runts: --platform: 'quick' is not one of auto, systrap, ptrace$/],
])('--platform %s is refused', async (name, why) => {
  expect(await tryOn([], name)).toMatch(why);
});

it('an ordinary user has the platform ptrace', async () => {
  const home = userDirectory();
  try {
    const command = [runtsFor(home), 'do', '--platform', 'ptrace', '--', 'sh', '-c', 'id -u'];
    const { stdout, stderr } = await run(asUser(command), { cwd: '/', env: { HOME: home } });
    expect(stderr + stdout).toBe(`${uid}\n`);
  } finally {
    rmSync(home, { recursive: true });
  }
});

interface HostProcess {
  readonly pid: number;
  readonly parent: number;
  readonly name: string;
  readonly threads: number;
}

function processes(): HostProcess[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const status = readFileSync(`/proc/${pid}/status`, 'utf8');
        const field = (name: string): string =>
          new RegExp(`^${name}:\\t(.*)$`, 'm').exec(status)?.[1] ?? '';
        const [parent, threads] = [Number(field('PPid')), Number(field('Threads'))];
        return [{ pid: Number(pid), parent, name: field('Name'), threads }];
      } catch {
        return [];
      }
    });
}

/** The tracer below process `top`: the zygote's program with a thread for each guest thread. */
function tracerOf(top: number): number | undefined {
  const all = processes();
  const isBelow = (pid: number): boolean =>
    pid === top || all.some((one) => one.pid === pid && one.parent > 1 && isBelow(one.parent));
  return all.find(({ pid, name, threads }) => name === 'zygote' && threads > 1 && isBelow(pid))
    ?.pid;
}

it('a tracer that dies ends its sandbox, which says so', async () => {
  const child = spawn(runts, [
    'do',
    '--platform',
    'ptrace',
    '--',
    'sh',
    '-c',
    'echo up; sleep 1000',
  ]);
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk);
  });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const tracer = tracerOf(child.pid ?? 0);
  if (tracer === undefined) throw new Error('no tracer');
  const ended = new Promise((resolve) => child.once('close', resolve));
  process.kill(tracer, 'SIGKILL');
  expect(await ended).toBe(125);
  expect(stderr).toContain('the tracer died');
});
