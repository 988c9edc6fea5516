// SPDX-License-Identifier: Apache-2.0
// What every process of a running sandbox may do, as /proc tells: namespaces, root, ids, capabilities,
// descriptors, no_new_privs, seccomp.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Running, startSleeper, until } from '../lifecycle/command.ts';
import {
  descriptors,
  isAlive,
  namespace,
  type SandboxProcesses,
  sandboxProcesses,
  status,
} from '../lifecycle/sandbox-processes.ts';

const kinds = ['user', 'mnt', 'pid', 'net', 'ipc', 'uts', 'cgroup'] as const;
const asRoot = process.geteuid?.() === 0;
const NO_CAPABILITIES = '0000000000000000';
/** CAP_DAC_READ_SEARCH. */
const READ_ONLY_GOFER = '0000000000000004';
const capabilitySets = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'] as const;

/** Its processes, when it makes no more: a stub that is being made is not yet confined. */
function atRest({ child }: Running): Promise<SandboxProcesses> {
  return until(() => {
    const processes = sandboxProcesses(child.pid as number);
    const isMade = (pid: number): boolean =>
      isAlive(pid) && status(pid, 'Seccomp') === '2' && descriptors(pid).size <= 2;
    return processes?.stubs.every(isMade) === true ? processes : undefined;
  });
}

let sandbox: Running & { readonly processes: SandboxProcesses };
let processes: SandboxProcesses;

beforeAll(async () => {
  sandbox = await startSleeper();
  processes = await atRest(sandbox);
});

afterAll(async () => {
  sandbox.child.kill('SIGKILL');
  await sandbox.finished;
});

const confined = (): number[] => [
  processes.sentry,
  processes.gofer,
  processes.zygote,
  ...processes.stubs,
];
const guests = (): number[] => [processes.zygote, ...processes.stubs];

describe('every process of a sandbox', () => {
  it('has namespaces other than the host', () => {
    for (const pid of confined()) {
      for (const kind of kinds)
        expect(namespace(pid, kind), `${pid} ${kind}`).not.toBe(namespace(process.pid, kind));
    }
  });

  it('has a Gofer apart from the Sentry, and stubs where the Sentry is', () => {
    for (const kind of kinds) {
      expect(namespace(processes.gofer, kind)).not.toBe(namespace(processes.sentry, kind));
      for (const pid of guests())
        expect(namespace(pid, kind)).toBe(namespace(processes.sentry, kind));
    }
    expect(status(processes.sentry, 'NSpid').split('\t')).toEqual([String(processes.sentry), '1']);
  });

  it('has no_new_privs and a seccomp filter on every thread', () => {
    for (const pid of confined()) {
      if (pid === processes.zygote) continue;
      for (const thread of readdirSync(`/proc/${pid}/task`)) {
        const text = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
        expect(text, `${pid}/${thread}`).toMatch(/^NoNewPrivs:\t1$/m);
        expect(text, `${pid}/${thread}`).toMatch(/^Seccomp:\t2$/m);
      }
    }
    expect(status(processes.zygote, 'NoNewPrivs')).toBe('1');
  });

  it('has no capability, but the Gofer of root may read every file', () => {
    for (const pid of confined()) {
      for (const thread of readdirSync(`/proc/${pid}/task`)) {
        const text = readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8');
        for (const set of capabilitySets) {
          const ofGofer = pid === processes.gofer && asRoot && !['CapInh', 'CapAmb'].includes(set);
          const wanted = ofGofer ? READ_ONLY_GOFER : NO_CAPABILITIES;
          expect(text, `${pid}/${thread}`).toMatch(new RegExp(`^${set}:\\t${wanted}$`, 'm'));
        }
      }
    }
  });

  it('is nobody, but for the Gofer', () => {
    const id = asRoot ? '65534' : String(process.geteuid?.());
    for (const pid of [processes.sentry, ...guests()]) {
      expect(status(pid, 'Uid')).toBe([id, id, id, id].join('\t'));
      expect(readFileSync(`/proc/${pid}/uid_map`, 'utf8').trim().split(/\s+/)).toEqual([
        id,
        id,
        '1',
      ]);
    }
    if (asRoot) expect(status(processes.sentry, 'Groups')).toBe('');
  });
});

describe('file systems', () => {
  it.runIf(asRoot)('the Sentry and the stubs see an empty, read-only root', () => {
    for (const pid of [processes.sentry, ...guests()]) {
      expect(readdirSync(`/proc/${pid}/root/`)).toEqual([]);
      const mounts = mountLines(pid);
      expect(mounts, String(pid)).toHaveLength(1);
      expect(mounts[0]).toMatch(/^\S+ \S+ \S+ \/ \/ ro,nosuid,nodev,noexec[, ]/);
      expect(readlinkSync(`/proc/${pid}/cwd`)).toBe('/');
    }
  });

  it.runIf(asRoot)('the Gofer sees the attach points only, read-only', () => {
    expect(readdirSync(`/proc/${processes.gofer}/root/`)).toEqual(['0']);
    for (const line of mountLines(processes.gofer)) {
      expect(line).toMatch(/^\S+ \S+ \S+ \S+ \S+ ro,/);
      expect(line).toMatch(/ \/(0(\/\S*)?)? /);
    }
    for (const folder of ['proc', 'sys', 'dev']) {
      expect(readdirSync(`/proc/${processes.gofer}/root/0/${folder}`), folder).toEqual([]);
    }
  });
});

describe('descriptors', () => {
  it.runIf(asRoot)('stubs hold a control socket and the wake-up eventfd', async () => {
    // One that is being made has what it is made with.
    await until(() => processes.stubs.every((pid) => descriptors(pid).size <= 2));
    for (const pid of processes.stubs) {
      for (const [fd, target] of descriptors(pid)) {
        expect(target, `${pid}:${fd}`).toMatch(/^socket:|^anon_inode:\[eventfd\]$/);
      }
      expect(descriptors(pid).size).toBeLessThanOrEqual(2);
    }
    // While a stub is being made the zygote holds that one's socket as well.
    await expect
      .poll(() => descriptors(processes.zygote).size, { timeout: 60_000 })
      .toBeLessThanOrEqual(3);
  });

  it.runIf(asRoot)(
    'the Sentry holds no directory but its own descriptors, and no device but /dev/null',
    () => {
      for (const [fd, target] of descriptors(processes.sentry)) {
        expect(target, String(fd)).toMatch(
          /^(socket|pipe):|^anon_inode:|^\/memfd:|^\/1\/fd$|^\/dev\/null$|^\/0\/(usr|etc|lib)\/\S*$/,
        );
      }
    },
  );
});

describe('with the network of the host', () => {
  let host: Running & { readonly processes: SandboxProcesses };
  beforeAll(async () => {
    const started = await startSleeper(['--network', 'host']);
    host = { ...started, processes: await atRest(started) };
  });
  afterAll(async () => {
    host.child.kill('SIGKILL');
    await host.finished;
  });

  it('only the Sentry is in it', () => {
    const { sentry, gofer, zygote, stubs } = host.processes;
    const own = namespace(process.pid, 'net');
    expect(namespace(sentry, 'net')).toBe(own);
    for (const pid of [gofer, zygote, ...stubs]) expect(namespace(pid, 'net')).not.toBe(own);
    for (const kind of kinds.filter((each) => each !== 'net'))
      expect(namespace(sentry, kind)).not.toBe(namespace(process.pid, kind));
  });

  it('nobody has a capability, and all are confined', () => {
    const { sentry, zygote, stubs } = host.processes;
    for (const pid of [sentry, zygote, ...stubs]) {
      for (const set of capabilitySets) expect(status(pid, set)).toBe(NO_CAPABILITIES);
      expect(status(pid, 'NoNewPrivs')).toBe('1');
    }
    expect(status(sentry, 'Seccomp')).toBe('2');
  });

  it.runIf(asRoot)('of the host, the Sentry holds files of /proc/net besides', () => {
    for (const [fd, target] of descriptors(host.processes.sentry)) {
      expect(target, String(fd)).toMatch(
        /^(socket|pipe):|^anon_inode:|^\/memfd:|^\/1\/(fd|net\/\w+)$|^\/dev\/null$|^\/0\/(usr|etc|lib)\/\S*$/,
      );
    }
  });
});

describe('with --network user', () => {
  let user: Running & { readonly processes: SandboxProcesses };
  let proxy: number;
  beforeAll(async () => {
    const started = await startSleeper(['--network', 'user']);
    const found = await until(() => {
      const now = sandboxProcesses(started.child.pid as number);
      return now?.proxy !== undefined && status(now.proxy, 'Seccomp') === '2' ? now : undefined;
    });
    user = { ...started, processes: found };
    proxy = found.proxy as number;
  });
  afterAll(async () => {
    user.child.kill('SIGKILL');
    await user.finished;
  });

  it('only the network proxy is in the network of the caller, and in no other namespace of it', () => {
    const { sentry, gofer, zygote, stubs } = user.processes;
    for (const kind of kinds) {
      const own = namespace(process.pid, kind);
      if (kind === 'net') expect(namespace(proxy, kind)).toBe(own);
      else expect(namespace(proxy, kind), kind).not.toBe(own);
      for (const pid of [sentry, gofer, zygote, ...stubs])
        expect(namespace(pid, kind)).not.toBe(own);
    }
  });

  it('the proxy is nobody, without capabilities, and confined', () => {
    const id = asRoot ? '65534' : String(process.geteuid?.());
    expect(status(proxy, 'Uid')).toBe([id, id, id, id].join('\t'));
    for (const set of capabilitySets) expect(status(proxy, set)).toBe(NO_CAPABILITIES);
    expect(status(proxy, 'NoNewPrivs')).toBe('1');
    expect(status(proxy, 'Seccomp')).toBe('2');
  });

  it.runIf(asRoot)('the proxy sees no file, and holds sockets and what waits for them', () => {
    expect(readdirSync(`/proc/${proxy}/root/`)).toEqual([]);
    expect(mountLines(proxy)).toHaveLength(1);
    for (const [fd, target] of descriptors(proxy))
      expect(target, String(fd)).toMatch(/^socket:|^anon_inode:\[eventpoll\]$|^\/dev\/null$/);
  });

  it.runIf(asRoot)('the Sentry holds nothing more but its socket to the proxy', () => {
    for (const [fd, target] of descriptors(user.processes.sentry)) {
      expect(target, String(fd)).toMatch(
        /^(socket|pipe):|^anon_inode:|^\/memfd:|^\/1\/fd$|^\/dev\/null$|^\/0\/(usr|etc|lib)\/\S*$/,
      );
    }
  });
});

function mountLines(pid: number): string[] {
  return readFileSync(`/proc/${pid}/mountinfo`, 'utf8').trim().split('\n');
}
