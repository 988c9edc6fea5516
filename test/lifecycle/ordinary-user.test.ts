// SPDX-License-Identifier: Apache-2.0
// `runts do` for a user who is not root: what the guest sees and may do, and that nothing is left behind.
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { asUser, gid, runtsFor, uid, userDirectory } from '../support/ordinary-user.ts';
import { type Outcome, run } from '../support/run.ts';
import { until } from './command.ts';
import { OwnPlaces } from './own-places.ts';
import { everyProcess, isAlive, sandboxProcesses, status } from './sandbox-processes.ts';

const asRoot = process.geteuid?.() === 0;
let dir: string;
let runts: string;

beforeAll(() => {
  dir = userDirectory();
  runts = runtsFor(dir);
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const env = { HOME: '/tmp' };

const inSandbox = (script: string, ...flags: readonly string[]): Promise<Outcome> =>
  run(asUser([runts, 'do', ...flags, '--', 'sh', '-c', script]), { cwd: dir, env });

const natively = (script: string): Promise<Outcome> =>
  run(asUser(['sh', '-c', script]), { cwd: dir, env });

/** The same for both, and says something. */
async function sameAsNatively(script: string): Promise<void> {
  const { stdout, code } = await natively(script);
  expect(stdout).not.toBe('');
  const guest = await inSandbox(script);
  expect({ stdout: guest.stdout, code: guest.code }, guest.stderr).toEqual({ stdout, code });
}

describe('an ordinary user', () => {
  it('is who they are', () => sameAsNatively('id; id -u; groups; pwd'));
  it('lists their own sandboxes where the containers are root’s to see', async () => {
    if (asRoot) mkdirSync('/run/runts', { recursive: true, mode: 0o711 });
    const list = [runts, 'list', '-q'];
    const { stdout, stderr, code } = await run(asUser(['env', '-u', 'XDG_RUNTIME_DIR', ...list]), {
      cwd: dir,
      env,
    });
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    expect(stdout).toMatch(/^(do-\d+\n)*$/);
  });
  it('reaches the network, and is reached, by --network user', async () => {
    const script = `python3 -c "
import socket
l=socket.create_server(('',8000)); c=socket.create_connection(('10.0.2.2',18061)); p,who=l.accept()
c.sendall(b'hello'); print(p.recv(9).decode(), who[0])"`;
    const flags = ['--network', 'user', '--allow-net', 'host:18061', '-p', '18061:8000'];
    const { stdout, stderr } = await inSandbox(script, ...flags);
    expect({ stdout, stderr }).toEqual({ stdout: 'hello 10.0.2.2\n', stderr: '' });
  });
  it('sees the sandbox’s kernel', async () => {
    expect((await inSandbox('uname -sn')).stdout).toBe('Linux runts\n');
  });
  it('has no capability', async () => {
    const { stdout } = await inSandbox('grep -E "^Cap(Inh|Prm|Eff|Amb)" /proc/self/status');
    expect(stdout).toMatch(/^(Cap\w+:\t0{16}\n){4}$/);
  });
  // Who else than root and themselves owns a file, the kernel does not tell in their user namespace.
  it('sees files of root and their own with owners and modes', () =>
    sameAsNatively(
      'stat -c "%n %u:%g %a %s" /etc/passwd /usr/bin/env /root /tmp .; stat -c "%a %s %n" /etc/shadow /etc/*',
    ));
  it('may read what it may read, and no more', () =>
    sameAsNatively(
      'for f in /etc/passwd /etc/shadow /root/.profile; do head -c 1 $f >/dev/null 2>&1; echo $f $?; done; test -w /etc/passwd; echo $?; ls /root 2>&1',
    ));
  it('may write where it may write: into the overlay', async () => {
    writeFileSync(join(dir, 'kept'), 'host\n', { mode: 0o644 });
    chmodSync(dir, 0o777);
    const script =
      'echo guest > kept2; echo x > /tmp/runts-of-user; stat -c "%u %g %a" /tmp/runts-of-user; cat kept2; mkdir d; touch d/e; rm -r d; echo x 2>/dev/null > /etc/x; echo $?; rm -f /etc/passwd 2>/dev/null; echo $?';
    const { stdout, stderr } = await inSandbox(script);
    expect(stdout, stderr).toBe(`${uid} ${gid} 644\nguest\n2\n1\n`);
    expect(readdirSync(dir)).not.toContain('kept2');
    expect(readdirSync('/tmp')).not.toContain('runts-of-user');
  });
  it('cannot become root', async () => {
    const script = 'su -c id </dev/null; setpriv --reuid=0 id; unshare -r id; chown 0 /tmp';
    const { stdout, stderr } = await inSandbox(`(${script}) 2>/dev/null; echo $?`);
    expect(stdout, stderr).toMatch(/^[1-9]\d*\n$/);
  });
});

describe('volumes of an ordinary user', () => {
  let volume: string;
  beforeAll(async () => {
    volume = join(dir, 'volume');
    expect(
      (await natively('mkdir volume; echo old > volume/file; chmod 640 volume/file')).code,
    ).toBe(0);
  });

  it('are written with their own ids', async () => {
    const script =
      'cat /mnt/file; echo new > /mnt/file; mkdir /mnt/sub; umask 027; echo x > /mnt/sub/made; ln -s made /mnt/sub/link; chmod 600 /mnt/file; mv /mnt/sub/made /mnt/sub/moved; stat -c "%u:%g %a" /mnt/sub/moved';
    const { stdout, stderr } = await inSandbox(script, '--volume', `${volume}:/mnt`);
    expect(stdout, stderr).toBe(`old\n${uid}:${gid} 640\n`);
    expect(readFileSync(join(volume, 'file'), 'utf8')).toBe('new\n');
    expect(statSync(join(volume, 'file')).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(volume, 'sub')).sort()).toEqual(['link', 'moved']);
    expect(statSync(join(volume, 'sub/moved'))).toMatchObject({ uid, gid });
  });
  it('stay as they are where read-only', async () => {
    const before = readFileSync(join(volume, 'file'), 'utf8');
    const script =
      'cat /mnt/file; for c in "echo x > /mnt/file" "rm /mnt/file" "touch /mnt/n"; do sh -c "$c" 2>&1; done';
    const { stdout } = await inSandbox(script, '--volume', `${volume}:/mnt:ro`);
    expect(stdout.match(/Read-only file system/g)).toHaveLength(3);
    expect(readFileSync(join(volume, 'file'), 'utf8')).toBe(before);
  });
  it('do not let out what the user may not read', async () => {
    mkdirSync(join(dir, 'foreign'));
    writeFileSync(join(dir, 'foreign/secret'), 'hidden\n');
    chmodSync(join(dir, 'foreign/secret'), process.geteuid?.() === 0 ? 0o600 : 0);
    const flags = ['--volume', `${dir}/foreign:/mnt`];
    const { stdout, stderr } = await inSandbox('cat /mnt/secret; ls /mnt', ...flags);
    // From ls(1) alone.
    expect(stdout).toBe('secret\n');
    expect(stderr).toMatch(/Permission denied/);
  });
  it('and a tmpfs', async () => {
    const script = 'stat -f -c %T /srv; echo x > /srv/file; cat /srv/file';
    const { stdout, stderr } = await inSandbox(script, '--tmpfs', '/srv');
    expect(stdout, stderr).toBe('tmpfs\nx\n');
  });
});

describe('programs of an ordinary user', () => {
  it('gcc', async () => {
    const source = '#include <stdio.h>\\nint main(void) { puts("hello"); return 3; }\\n';
    const script = `cd /tmp && printf '${source.replaceAll('%', '%%')}' > hello.c && gcc -O2 -o hello hello.c && ./hello; echo $?`;
    const { stdout, stderr } = await inSandbox(script);
    expect(stdout, stderr).toBe('hello\n3\n');
  });
  it('python3', () =>
    sameAsNatively(
      `/usr/bin/python3 -c "
import os, subprocess, tempfile, threading, multiprocessing
print(os.getuid(), subprocess.run(['id', '-u'], capture_output=True).stdout)
with tempfile.TemporaryDirectory() as d: open(d + '/f', 'w').write('x'); print(os.listdir(d))
with multiprocessing.Pool(2) as p: print(p.map(abs, [-1, -2]))
"`,
    ));
  it('exit codes', async () => {
    for (const [script, code] of [
      ['exit 7', 7],
      ['kill -TERM $$', 143],
      ['exec /no', 127],
    ] as const) {
      expect((await inSandbox(script)).code, script).toBe(code);
    }
  });
});

describe('an ordinary user’s sandbox', () => {
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });
  const start = async (enter: readonly string[] = []) => {
    const command = [runts, 'do', '--', 'sh', '-c', 'echo ready; exec sleep 1000'];
    const [program, ...args] = [...enter, ...asUser(command)];
    const child = spawn(program as string, args, { cwd: dir, env: { ...process.env, ...env } });
    children.push(child);
    const ended = new Promise<number | null>((resolve) => {
      child.on('close', (code) => resolve(code));
    });
    await new Promise((resolve) => child.stdout.once('data', resolve));
    const processes = await until(() => sandboxProcesses(child.pid as number));
    return { child, ended, processes };
  };

  it('has that user’s id in every process, and no capability', async () => {
    const { child, ended, processes } = await start();
    for (const pid of everyProcess(processes)) {
      const uids = statusIfThere(pid, 'Uid');
      if (uids === undefined) continue;
      expect(uids).toBe([uid, uid, uid, uid].join('\t'));
      if (pid !== processes.cli && pid !== processes.launcher)
        expect(status(pid, 'CapEff'), String(pid)).toBe('0'.repeat(16));
    }
    child.kill('SIGTERM');
    expect(await ended).toBe(143);
  });
  it.each(['SIGTERM', 'SIGINT', 'SIGKILL'] as const)(
    'leaves nothing behind after %s',
    async (signal) => {
      const places = asRoot ? await OwnPlaces.make(dir) : undefined;
      const { child, ended, processes } = await start(places?.enter);
      child.kill(signal);
      expect(await ended).toBe({ SIGTERM: 143, SIGINT: 130, SIGKILL: null }[signal]);
      await until(() => !everyProcess(processes).some(isAlive));
      expect(places?.leftovers() ?? []).toEqual([]);
      places?.close();
    },
  );
});

/** Undefined for a process that has gone: what only seals a root is soon. */
function statusIfThere(pid: number, field: string): string | undefined {
  try {
    return status(pid, field);
  } catch (error) {
    if (isAlive(pid)) throw error;
    return undefined;
  }
}

describe('without user namespaces', () => {
  /** In a user namespace that allows none: its own sysctl, not the machine's. */
  const forbid = (file: string, then: string): readonly string[] =>
    asUser(['unshare', '--user', '--map-root-user', 'sh', '-c', `echo 0 > ${file} && ${then}`]);

  it('one line says which setting forbids them', async () => {
    const command = forbid('/proc/sys/user/max_user_namespaces', `exec ${runts} do -- echo never`);
    const { stdout, stderr, code } = await run(command, { cwd: dir, env });
    expect(stderr).toMatch(/^runts: .*user namespaces.*max_user_namespaces.*\n$/);
    expect({ stdout, code }).toEqual({ stdout: '', code: 125 });
  });
});
