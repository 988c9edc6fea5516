// SPDX-License-Identifier: Apache-2.0
// What critest, the validation suite of sigs.k8s.io/cri-tools, asks in
// pkg/validate/security_context_linux.go and pod_linux.go, reproduced one by one: it needs a
// registry's images, so these are cases of our own after its list. Left out: SELinux and AppArmor
// (no such host here), bridges (a network stack's business).
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { CAP_NET_ADMIN, CAP_SYS_ADMIN } from '../../abi/capability.ts';
import type { Message } from './support/cri.ts';
import { call, criSuite, exec, exited, mode, one, type Pod, sh } from './support/cri-pod.ts';
import { lacks } from './support/runtimes.ts';

/** SecurityProfile's kinds. */
const profile = { runtimeDefault: 0, unconfined: 1, localhost: 2 } as const;

/** runc cannot give all capabilities on such a machine. */
const isPossible = (pod: Pod): boolean => pod.runtime.name !== 'runc' || !lacks('CAP_SYS_RESOURCE');

async function hasCapability(id: string, number: number): Promise<boolean> {
  const line = (await exec(id, 'grep', 'CapEff', '/proc/self/status')).out;
  return ((BigInt(`0x${line.split('\t')[1]?.trim()}`) >> BigInt(number)) & 1n) === 1n;
}

/** A seccomp profile of the node, for the time of `body`. */
async function withProfile(
  denied: string,
  body: (fields: Message) => Promise<void>,
): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'cri-seccomp-'));
  const file = join(dir, 'profile.json');
  const syscalls = [{ names: [denied], action: 'SCMP_ACT_ERRNO' }];
  writeFileSync(file, JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls }));
  try {
    await body({ 15: { 1: profile.localhost, 2: file } });
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function listening(): Promise<{ server: Server; port: number }> {
  const server = createServer();
  return new Promise((resolve) => {
    server.listen(0, () => {
      const address = server.address();
      resolve({ server, port: typeof address === 'object' ? (address?.port ?? 0) : 0 });
    });
  });
}

criSuite('cri-security', () => {
  one('users, groups and supplemental groups', async (pod) => {
    const groups = await pod.secured('groups', { 8: [1234, 5678] });
    expect((await sh(groups, 'id -G')).trim().split(' ')).toEqual(['0', '1234', '5678']);
    const user = await pod.secured('user', { 5: { 1: 1001 } });
    expect(await sh(user, 'id -u; id -g')).toBe('1001\n0\n');
    const named = await pod.secured('named', { 6: 'nobody' });
    expect(await sh(named, 'id -nu')).toBe('nobody\n');
    const both = await pod.secured('both', { 5: { 1: 1001 }, 12: { 1: 1002 } });
    expect(await sh(both, 'id -u; id -g')).toBe('1001\n1002\n');
    // What belongs to the first process belongs to those of exec.
    expect(await sh(both, 'grep -E "^(Uid|Gid)" /proc/1/status')).toMatch(
      /^Uid:\s+1001\s+1001\s+1001\s+1001\nGid:\s+1002/,
    );
    await expect(pod.secured('wrong', { 12: { 1: 1002 } })).rejects.toThrow(/run_as_group|user/);
  });

  one('a read-only root, and one that is not', async (pod) => {
    const script = 'touch test.go && [ -f test.go ] && echo Found';
    const writable = await pod.container('writable', script, pod.security({ 7: false }));
    expect((await exited(writable)).number(7)).toBe(0);
    expect(await pod.logged('writable')).toBe('Found\n');
    const sealed = await pod.container('sealed', script, pod.security({ 7: true }));
    expect((await exited(sealed)).number(7)).toBe(1);
    expect(await pod.logged('sealed')).toBe('touch: test.go: Read-only file system\n');
  });

  one('capabilities that are added and dropped', async (pod) => {
    const plain = await pod.secured('plain', {});
    const more = await pod.secured('more', { 1: { 1: ['NET_ADMIN'] } });
    const less = await pod.secured('less', { 1: { 2: ['ALL'] } });
    expect(await hasCapability(plain, CAP_NET_ADMIN)).toBe(false);
    expect(await hasCapability(more, CAP_NET_ADMIN)).toBe(true);
    expect(await sh(less, 'grep -E "Cap(Eff|Prm|Bnd)" /proc/self/status')).toBe(
      'CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n',
    );
    // /bin/chown on one's own file wants CAP_CHOWN.
    expect((await exec(plain, 'chown', '5', '/tmp')).code).toBe(0);
    expect((await exec(less, 'chown', '5', '/tmp')).code).toBe(1);
  });

  one(
    'privileged',
    async (pod) => {
      if (!isPossible(pod)) return;
      const id = await pod.secured('privileged', { 2: true });
      expect(await hasCapability(id, CAP_NET_ADMIN)).toBe(true);
      expect(await hasCapability(id, CAP_SYS_ADMIN)).toBe(true);
      expect(await sh(id, 'mount -t tmpfs none /mnt && touch /mnt/f && ls /mnt')).toBe('f\n');
      expect(await sh(id, 'grep Seccomp: /proc/self/status')).toBe('Seccomp:\t0\n');
      // Nothing is masked.
      expect(await sh(id, 'grep -c -E " /proc/(kcore|keys|sys) " /proc/mounts || :')).toBe('0\n');
    },
    { security: { 6: true } },
  );

  one('not privileged', async (pod) => {
    const id = await pod.secured('plain', {});
    expect((await exec(id, 'mount', '-t', 'tmpfs', 'none', '/mnt')).code).not.toBe(0);
    expect((await exec(id, 'hostname', 'other')).code).not.toBe(0);
  });

  one('masked and read-only paths', async (pod) => {
    const file = join(pod.logs, 'secret');
    writeFileSync(file, 'secret');
    const paths = pod.security({ 13: ['/secret', '/usr'], 14: ['/tmp'] });
    const mounts = [{ 1: '/secret', 2: file }];
    const id = await pod.container('paths', 'exec sleep 1000', { ...paths, 7: mounts });
    expect(await sh(id, 'cat /secret; echo /usr/*')).toBe('/usr/*\n');
    const touched = await exec(id, 'touch', '/tmp/test');
    expect(touched).toMatchObject({ code: 1, err: 'touch: /tmp/test: Read-only file system\n' });
  });

  one('seccomp profiles', async (pod) => {
    const seen = async (id: string): Promise<string> =>
      (await sh(id, 'grep Seccomp: /proc/self/status')).slice(-2, -1);
    expect(await seen(await pod.secured('unset', {}))).toBe('0');
    const unconfined = await pod.secured('unconfined', { 15: { 1: profile.unconfined } });
    expect(await seen(unconfined)).toBe('0');
    const standard = await pod.secured('standard', { 15: { 1: profile.runtimeDefault } });
    expect(await seen(standard)).toBe('2');
    await withProfile('chmod', async (fields) => {
      const id = await pod.secured('no-chmod', fields);
      const ran = await exec(id, 'chmod', '400', '/');
      expect(ran).toMatchObject({ code: 1, err: expect.stringMatching(/not permitted/) });
      // The first process and those of exec alike.
      expect(await seen(id)).toBe('2');
      expect(await sh(id, 'grep Seccomp: /proc/1/status')).toBe('Seccomp:\t2\n');
    });
    await expect(
      pod.secured('missing', { 15: { 1: profile.localhost, 2: '/no/such/profile' } }),
    ).rejects.toThrow(/profile/);
  });

  one('seccomp profiles and the host name', async (pod) => {
    const admin = { 1: { 1: ['SYS_ADMIN'] } };
    const set = (id: string): Promise<{ code: number }> => exec(id, 'hostname', 'changed');
    const free = await pod.secured('free', { ...admin, 15: { 1: profile.unconfined } });
    expect((await set(free)).code).toBe(0);
    const standard = await pod.secured('standard', { ...admin, 15: { 1: profile.runtimeDefault } });
    expect((await set(standard)).code).toBe(0);
    const weak = await pod.secured('weak', { 15: { 1: profile.runtimeDefault } });
    expect((await set(weak)).code).not.toBe(0);
    await withProfile('sethostname', async (fields) => {
      const denied = await pod.secured('denied', { ...admin, ...fields });
      expect((await set(denied)).code).not.toBe(0);
    });
  });

  one('no_new_privs', async (pod) => {
    const script = 'grep NoNewPrivs /proc/self/status';
    const without = await pod.secured('without', { 11: false, 5: { 1: 1000 } });
    const bound = await pod.secured('bound', { 11: true, 5: { 1: 1000 } });
    expect(await sh(without, script)).toBe('NoNewPrivs:\t0\n');
    expect(await sh(bound, script)).toBe('NoNewPrivs:\t1\n');
    // A set-user-ID program: su(1) of busybox works only where the kernel made it root.
    const volume = join(pod.logs, 'v');
    mkdirSync(volume);
    copyFileSync('/bin/busybox', join(volume, 'busybox'));
    chmodSync(join(volume, 'busybox'), 0o4755);
    writeFileSync(join(volume, 'passwd'), 'root::0:0::/:/bin/sh\nuser::1000:1000::/:/bin/sh\n');
    const mounts = [
      { 1: '/v', 2: volume },
      { 1: '/etc/passwd', 2: join(volume, 'passwd') },
    ];
    for (const [name, held, code] of [
      ['may', false, 0],
      ['may-not', true, 1],
    ] as const) {
      const security = pod.security({ 11: held, 5: { 1: 1000 } });
      const id = await pod.container(name, 'exec sleep 1000', { ...security, 7: mounts });
      const ran = await exec(id, '/v/busybox', 'su', '-c', 'id -u', 'root');
      expect(ran).toMatchObject({ code, out: held ? '' : '0\n' });
    }
  });

  one(
    'one PID namespace for the pod',
    async (pod) => {
      const id = await pod.secured('a', {});
      expect(await sh(id, 'tr "\\0" " " </proc/1/cmdline')).toBe('sleep 1000000 ');
      expect(await sh(id, 'ps -o args | grep -c "^sleep 1000$"')).toBe('1\n');
    },
    { pid: mode.pod },
  );

  one(
    'a network of the pod’s own does not show the host’s ports',
    async (pod) => {
      const { server, port } = await listening();
      try {
        const id = await pod.secured('a', {});
        expect(await sh(id, 'netstat -ln')).not.toContain(`:${port} `);
      } finally {
        server.close();
      }
    },
    { pid: mode.pod },
  );

  one(
    'sysctls of the pod',
    async (pod) => {
      const id = await pod.secured('a', {});
      expect(await sh(id, 'cat /proc/sys/kernel/shm_rmid_forced')).toBe('1\n');
      expect(await sh(id, 'cat /proc/sys/fs/mqueue/msg_max')).toBe('100\n');
      expect(await sh(id, 'cat /proc/sys/net/ipv4/ip_unprivileged_port_start')).toBe('0\n');
    },
    {
      linux: {
        3: [
          { 1: 'kernel.shm_rmid_forced', 2: '1' },
          { 1: 'fs.mqueue.msg_max', 2: '100' },
          { 1: 'net.ipv4.ip_unprivileged_port_start', 2: '0' },
        ],
      },
    },
  );

  one('a container’s status tells what it was made of', async (pod) => {
    const id = await pod.secured('a', {});
    const reply = await call('ContainerStatus', { 1: id, 2: true });
    expect(reply.message(1).number(3)).toBe(1);
    expect(JSON.stringify(reply.text(2))).toMatch(/runtimeType|io.containerd.runc.v2/);
  });
});
