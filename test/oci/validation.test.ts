// SPDX-License-Identifier: Apache-2.0
// The cases of opencontainers/runtime-tools' validation/, one by one: there a Go program looks from inside,
// here a shell script does. Names are theirs.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { cgroupsBelow } from './engines/daemons.ts';
import { type Box, type BoxCase, boxCases } from './support/box.ts';
import type { Need } from './support/runtimes.ts';
import { mount, type Spec, script } from './support/spec.ts';

/** The script inside must write `says` for a spec changed so. */
function inside(
  name: string,
  change: (spec: Spec, bundle: () => string) => void,
  text: string,
  says: string | RegExp,
  needs?: Need,
): BoxCase {
  return {
    name,
    ...(needs === undefined ? {} : { needs }),
    body: async (box) => {
      const bundle = join(box.dir, 'bundles/a');
      box.bundle((spec) => {
        script(spec, text);
        change(spec, () => bundle);
      });
      const code = await box.finish();
      const output = box.output().trim();
      expect({ code, err: box.output('a', 'err') }, output).toMatchObject({ code: 0 });
      if (typeof says === 'string') expect(output).toBe(says);
      else expect(output).toMatch(says);
    },
  };
}

const status = (field: string): string => `grep ^${field}: /proc/self/status | cut -f2`;

/** A hook that notes its name and what it gets, in FILE. */
const hook = (file: string, name: string, then = 'true'): { path: string; args: string[] } => ({
  path: '/bin/sh',
  args: [
    'sh',
    '-c',
    `state=$(cat); echo "${name} $(echo "$state" | tr -d ' \\n' | grep -o '"status":"[a-z]*"')" >>${file}; ${then}`,
  ],
});

const hookFile = (box: Box): string => join(box.dir, 'hooks');
const hooksSaid = (box: Box): string[] =>
  existsSync(hookFile(box)) ? readFileSync(hookFile(box), 'utf8').trim().split('\n') : [];

boxCases('validation', [
  inside(
    'hostname',
    (spec) => {
      spec.hostname = 'hostname-specific';
    },
    'hostname; uname -n',
    'hostname-specific\nhostname-specific',
  ),
  inside(
    'root_readonly_true',
    (spec) => {
      spec.root.readonly = true;
    },
    'touch /x 2>&1 | grep -o "Read-only file system"; grep -c " / [^ ]* ro[, ]" /proc/mounts',
    'Read-only file system\n1',
  ),
  inside('root_readonly_false', () => undefined, 'echo written >/x && cat /x', 'written'),
  inside(
    'mounts',
    (spec, bundle) => {
      const source = join(bundle(), '..', 'source');
      mkdirSync(source, { recursive: true });
      writeFileSync(join(source, 'f'), 'words\n');
      spec.mounts.push(
        mount('/m', 'bind', source, 'bind,ro,nosuid,nodev,noexec'),
        mount('/t', 'tmpfs', 'tmpfs', 'nosuid,size=1m,mode=1755'),
        { destination: '/mq', type: 'mqueue', source: 'mqueue' },
      );
    },
    'cat /m/f; touch /m/x 2>&1 | grep -o "Read-only file system"; grep -E " /(m|t|mq) " /proc/mounts | cut -d" " -f2,4 | grep -oE "^/[a-z]+|\\b(ro|rw|nosuid|nodev|noexec)\\b" | tr "\\n" " "; stat -c %a /t',
    /^words\nRead-only file system\n\/m ro nosuid nodev noexec \/t rw nosuid \/mq rw 1755$/,
  ),
  inside(
    'mounts_recursive',
    (spec, bundle) => {
      const source = join(bundle(), '..', 'source');
      mkdirSync(join(source, 'deep/er'), { recursive: true });
      writeFileSync(join(source, 'deep/er/f'), 'words\n');
      spec.mounts.push(
        mount('/a/b/c', 'bind', source, 'rbind'),
        mount('/a/b/c/deep/tmp', 'tmpfs', 'tmpfs', 'size=64k'),
      );
    },
    'cat /a/b/c/deep/er/f; grep -c " /a/b/c/deep/tmp tmpfs" /proc/mounts',
    'words\n1',
  ),
  inside(
    'process',
    (spec) => {
      spec.process.args = [
        '/bin/sh',
        '-c',
        'echo $0 $1 $TEST; pwd; tr "\\000" "|" </proc/$$/cmdline | sed "s/.*|zero/zero/"',
        'zero',
        'one two',
      ];
      spec.process.env.push('TEST=testing');
      spec.process.cwd = '/test/dir';
    },
    '',
    'zero one two testing\n/test/dir\nzero|one two|',
  ),
  inside(
    'process_user',
    (spec) => {
      spec.process.user = { uid: 10, gid: 11, additionalGids: [5, 20] };
    },
    'id -u; id -g; id -G; touch /tmp/x; stat -c %u:%g /tmp/x',
    '10\n11\n11 5 20\n10:11',
  ),
  inside(
    'process_umask',
    (spec) => {
      spec.process.user.umask = 0o27;
    },
    'umask; touch /tmp/x; stat -c %a /tmp/x',
    '0027\n640',
  ),
  inside(
    'process_capabilities',
    (spec) => {
      spec.process.capabilities = {
        bounding: ['CAP_KILL', 'CAP_CHOWN'],
        permitted: ['CAP_CHOWN'],
        effective: ['CAP_CHOWN'],
        inheritable: ['CAP_CHOWN'],
        ambient: ['CAP_CHOWN'],
      };
      spec.process.user = { uid: 5, gid: 5 };
    },
    `grep -E '^Cap' /proc/self/status | cut -f2 | tr '\\n' ' '`,
    '0000000000000001 0000000000000001 0000000000000001 0000000000000021 0000000000000001',
  ),
  inside(
    'no capabilities',
    (spec) => {
      delete spec.process.capabilities;
    },
    `grep -E '^Cap' /proc/self/status | cut -f2 | sort -u`,
    '0000000000000000',
  ),
  {
    name: 'process_capabilities_fail',
    body: async (box) => {
      box.bundle((spec) => {
        spec.process.capabilities = { bounding: ['TEST_CAP'] };
        script(spec, 'grep CapBnd /proc/self/status');
      });
      // An unknown capability is left out with a warning, or refused.
      const { code } = await box.create('a', [], { stdout: '', stderr: '' });
      expect(code).toBeLessThanOrEqual(1);
    },
  },
  inside(
    'process_oom_score_adj',
    (spec) => {
      spec.process.oomScoreAdj = 500;
    },
    'cat /proc/self/oom_score_adj',
    '500',
  ),
  inside(
    'process_rlimits',
    (spec) => {
      spec.process.rlimits = [
        { type: 'RLIMIT_NOFILE', soft: 100, hard: 200 },
        { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
        { type: 'RLIMIT_FSIZE', soft: 1 << 20, hard: 1 << 21 },
        { type: 'RLIMIT_STACK', soft: 1 << 20, hard: 1 << 22 },
        { type: 'RLIMIT_CPU', soft: 1000, hard: 2000 },
      ];
    },
    'grep -E "open files|core file|file size|stack|cpu" /proc/self/limits | tr -s " " | sed "s/ *$//" | sort',
    'Max core file size 0 0 bytes\nMax cpu time 1000 2000 seconds\nMax file size 1048576 2097152 bytes\nMax open files 100 200 files\nMax stack size 1048576 4194304 bytes',
  ),
  {
    name: 'process_rlimits_fail',
    body: async (box) => {
      box.bundle((spec) => {
        spec.process.rlimits = [{ type: 'RLIMIT_TEST', soft: 1, hard: 1 }];
      });
      expect(await box.create('a', [], { stdout: '', stderr: '' })).toMatchObject({ code: 1 });
    },
  },
  inside(
    'no_new_privs',
    (spec) => {
      spec.process.noNewPrivileges = true;
    },
    status('NoNewPrivs'),
    '1',
  ),
  inside(
    'linux_masked_paths',
    (spec) => {
      spec.linux['maskedPaths'] = [
        '/etc/masked-dir',
        '/etc/masked',
        '/proc/uptime',
        '/no/such/path',
      ];
    },
    'cat /etc/masked /proc/uptime | wc -c; ls -A /etc/masked-dir | wc -l',
    '0\n0',
  ),
  inside(
    'linux_readonly_paths',
    (spec) => {
      spec.linux['readonlyPaths'] = [
        '/etc/readonly-dir',
        '/etc/readonly',
        '/proc/sys',
        '/no/such/path',
      ];
    },
    'for f in /etc/readonly-dir/new /etc/readonly /proc/sys/kernel/hostname; do (echo x >$f) 2>&1 | grep -o "Read-only file system"; done; echo x >/etc/new && cat /etc/readonly',
    'Read-only file system\nRead-only file system\nRead-only file system\nreadonly',
  ),
  inside(
    'linux_devices',
    (spec) => {
      spec.linux['devices'] = [
        { path: '/dev/test1', type: 'c', major: 1, minor: 5, fileMode: 0o640, uid: 3, gid: 4 },
        { path: '/dev/sub/pipe', type: 'p', fileMode: 0o600 },
      ];
      spec.linux['resources'] = { devices: [{ allow: true, access: 'rwm' }] };
    },
    'stat -c "%F %t:%T %a %u:%g" /dev/test1; stat -c "%F %a" /dev/sub/pipe; head -c 2 /dev/test1 | wc -c',
    'character special file 1:5 640 3:4\nfifo 600\n2',
  ),
  inside(
    'default devices',
    () => undefined,
    'stat -c "%n %F %t:%T %a" /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty; for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done',
    /^\/dev\/null character special file 1:3 666\n\/dev\/zero .* 1:5 666\n\/dev\/full .* 1:7 666\n\/dev\/random .* 1:8 666\n\/dev\/urandom .* 1:9 666\n\/dev\/tty .* 5:0 666\n\/proc\/self\/fd\n\/proc\/self\/fd\/0\n\/proc\/self\/fd\/1\n\/proc\/self\/fd\/2\npts\/ptmx$/,
  ),
  inside(
    'linux_sysctl',
    (spec) => {
      spec.linux['sysctl'] = { 'net.ipv4.ip_forward': '1', 'kernel.shmmax': '1234567' };
    },
    'cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmax',
    '1\n1234567',
  ),
  inside(
    'linux_seccomp',
    (spec) => {
      spec.linux['seccomp'] = {
        defaultAction: 'SCMP_ACT_ALLOW',
        architectures: ['SCMP_ARCH_X86_64'],
        syscalls: [
          { names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 95 },
          { names: ['nosuchcall', 'chmod', 'fchmodat'], action: 'SCMP_ACT_ERRNO' },
        ],
      };
    },
    'mkdir /tmp/x 2>&1 | sed "s/.*: //"; chmod 700 /tmp 2>&1 | sed "s/.*: //"; touch /tmp/y && grep ^Seccomp: /proc/self/status',
    'Operation not supported\nOperation not permitted\nSeccomp:\t2',
  ),
  inside(
    'linux_ns_nopath',
    () => undefined,
    'for n in pid ipc uts mnt net; do readlink /proc/self/ns/$n | sed "s/:.*//"; done; ls /proc | grep -c "^[0-9]"; ip -o link | wc -l',
    /^pid\nipc\nuts\nmnt\nnet\n[1-5]\n\d+$/,
  ),
  {
    name: 'linux_ns_path: network',
    body: async (box) => {
      await box.running(undefined, 'first');
      const path = `/proc/${box.pid('first')}/ns/net`;
      box.bundle((spec) => {
        spec.linux.namespaces = spec.linux.namespaces.map((one) =>
          one.type === 'network' ? { ...one, path } : one,
        );
      }, 'second');
      expect(await box.create('second')).toMatchObject({ code: 0 });
      expect(readlinkSync(`/proc/${box.pid('second')}/ns/net`)).toBe(readlinkSync(path));
    },
  },
  {
    name: 'linux_ns_path_type: a path of another kind',
    body: async (box) => {
      box.bundle((spec) => {
        spec.linux.namespaces = spec.linux.namespaces.map((one) =>
          one.type === 'network' ? { ...one, path: '/proc/self/ns/uts' } : one,
        );
      });
      expect(await box.create('a', [], { stdout: '', stderr: '' })).toMatchObject({ code: 1 });
    },
  },
  {
    name: 'linux_ns_itype: left out is inherited',
    body: async (box) => {
      box.bundle((spec) => {
        spec.linux.namespaces = spec.linux.namespaces.filter(
          ({ type }) => type !== 'network' && type !== 'uts',
        );
        delete spec.hostname;
        script(spec, 'hostname');
      });
      expect(await box.create()).toMatchObject({ code: 0 });
      expect(readlinkSync(`/proc/${box.pid()}/ns/net`)).toBe(readlinkSync('/proc/self/ns/net'));
      await box.do('start', ['a']);
      await box.wait();
      expect(box.output().trim()).toBe(execFileSync('hostname', { encoding: 'utf8' }).trim());
    },
  },
  inside(
    'linux_uid_mappings, linux_gid_mappings',
    (spec) => {
      spec.linux.namespaces.push({ type: 'user' });
      // The root below must be reachable for the mapped users.
      spec.linux['uidMappings'] = [{ containerID: 0, hostID: 0, size: 2000 }];
      spec.linux['gidMappings'] = [{ containerID: 0, hostID: 0, size: 3000 }];
    },
    'cat /proc/self/uid_map /proc/self/gid_map | tr -s " "',
    / ?0 0 2000\n ?0 0 3000/,
  ),
  {
    name: 'linux_rootfs_propagation',
    body: async (box) => {
      box.bundle((spec) => {
        spec.linux['rootfsPropagation'] = 'private';
        script(spec, 'echo fine');
      });
      expect(await box.finish()).toBe(0);
      box.bundle((spec) => {
        spec.linux['rootfsPropagation'] = 'nosuch';
      }, 'b');
      expect(await box.create('b', [], { stdout: '', stderr: '' })).toMatchObject({ code: 1 });
    },
  },
  {
    name: 'linux_mount_label: ignored with a warning, where runc needs SELinux',
    only: 'runts',
    body: async (box) => {
      box.bundle((spec) => {
        spec.linux['mountLabel'] = 'system_u:object_r:svirt_sandbox_file_t:s0:c715,c811';
        script(spec, 'grep -c context= /proc/self/mountinfo; echo ran');
      });
      expect(await box.finish()).toBe(0);
      expect(box.output()).toBe('0\nran\n');
      expect(box.log()).toContain('linux.mountLabel');
    },
  },
  {
    name: 'linux_process_apparmor_profile: ignored with a warning, the Sentry confines',
    only: 'runts',
    body: async (box) => {
      box.bundle((spec) => {
        Object.assign(spec.process, { apparmorProfile: 'acme_secure_profile' });
        script(spec, 'cat /proc/self/attr/current 2>/dev/null; echo ran');
      });
      expect(await box.finish()).toBe(0);
      expect(box.output()).toBe('ran\n');
      expect(box.log()).toContain('process.apparmorProfile');
    },
  },
  {
    name: 'hooks: order, state and directory',
    body: async (box) => {
      const file = hookFile(box);
      box.bundle((spec) => {
        spec.hooks = {
          prestart: [hook(file, 'prestart-1'), hook(file, 'prestart-2')],
          createRuntime: [hook(file, 'createRuntime')],
          poststart: [hook(file, 'poststart')],
          poststop: [hook(file, 'poststop')],
        };
        script(spec, 'echo program');
      });
      expect(await box.create()).toMatchObject({ code: 0 });
      const made = hooksSaid(box).slice(0, 3);
      expect(made.map((line) => line.split(' ')[0])).toEqual([
        'prestart-1',
        'prestart-2',
        'createRuntime',
      ]);
      expect(
        made.every((line) => /"status":"creat(ing|ed)"/.test(line)),
        made.join(),
      ).toBe(true);
      await box.do('start', ['a']);
      // runc runs them in create already, for all the specification says.
      expect(hooksSaid(box)[3]).toMatch(/^poststart "status":"[a-z]+"/);
      await box.wait();
      expect(hooksSaid(box)).toHaveLength(4);
      expect(await box.do('delete', ['a'])).toMatchObject({ code: 0 });
      expect(hooksSaid(box)[4]).toBe('poststop "status":"stopped"');
    },
  },
  {
    name: 'hooks_stdin',
    body: async (box) => {
      const file = join(box.dir, 'stdin');
      const bundle = box.bundle((spec) => {
        const args = [
          'sh',
          '-c',
          `cat >${file}; tr '\\0' '\\n' </proc/self/environ >${file}.env; pwd >${file}.cwd`,
        ];
        spec.hooks = {
          createRuntime: [{ path: '/bin/sh', args, env: ['ONLY=this', 'PATH=/bin'] }],
        };
        spec.annotations = { a: 'b' };
      });
      expect(await box.create()).toMatchObject({ code: 0 });
      expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({
        ociVersion: expect.any(String),
        id: 'a',
        pid: box.pid(),
        bundle,
        annotations: { a: 'b' },
      });
      const env = readFileSync(`${file}.env`, 'utf8')
        .trim()
        .split('\n')
        .filter((line) => !/^(PWD|SHLVL|OLDPWD|_)=/.test(line));
      expect(env.sort()).toEqual(['ONLY=this', 'PATH=/bin']);
    },
  },
  {
    name: 'hooks in the container’s network namespace',
    body: async (box) => {
      const file = join(box.dir, 'net');
      box.bundle((spec) => {
        // What Docker's libnetwork-setkey needs: state.pid's network namespace is the container's.
        const args = [
          'sh',
          '-c',
          `pid=$(tr ',' '\\n' | grep -o '"pid":[0-9]*' | cut -d: -f2); readlink /proc/$pid/ns/net >${file}`,
        ];
        spec.hooks = { prestart: [{ path: '/bin/sh', args }] };
      });
      expect(await box.create()).toMatchObject({ code: 0 });
      expect(readFileSync(file, 'utf8').trim()).toBe(readlinkSync(`/proc/${box.pid()}/ns/net`));
      expect(readFileSync(file, 'utf8').trim()).not.toBe(readlinkSync('/proc/self/ns/net'));
    },
  },
  ...(['prestart', 'createRuntime'] as const).map(
    (point): BoxCase => ({
      name: `${point}_fail`,
      body: async (box) => {
        const file = hookFile(box);
        box.bundle((spec) => {
          spec.hooks = {
            [point]: [hook(file, 'failing', 'echo why >&2; exit 3')],
            poststop: [hook(file, 'poststop')],
          };
        });
        const ran = await box.create('a', [], { stdout: '', stderr: '' });
        expect(ran).toMatchObject({
          code: 1,
          held: false,
          stderr: expect.stringMatching(/hook.*|exit status 3/),
        });
        expect((await box.do('state', ['a'])).code).toBe(1);
        expect(await box.shim.descendants()).toEqual([]);
      },
    }),
  ),
  {
    name: 'poststart_fail, poststop_fail: the container goes on',
    body: async (box) => {
      const file = hookFile(box);
      box.bundle((spec) => {
        spec.hooks = { poststop: [hook(file, 'first', 'exit 1'), hook(file, 'second')] };
        script(spec, 'exit 3');
      });
      expect(await box.finish()).toBe(3);
      await box.do('delete', ['a']);
      expect((await box.do('state', ['a'])).code).toBe(1);
      expect(hooksSaid(box)[0]).toMatch(/^first/);
    },
  },
  {
    name: 'a hook that takes too long',
    body: async (box) => {
      box.bundle((spec) => {
        spec.hooks = { prestart: [{ path: '/bin/sleep', args: ['sleep', '1000'], timeout: 1 }] };
      });
      expect(await box.create('a', [], { stdout: '', stderr: '' })).toMatchObject({
        code: 1,
        held: false,
      });
    },
  },
  {
    name: 'config_updates_without_affect',
    body: async (box) => {
      const file = join(
        box.bundle((spec) => script(spec, 'echo before')),
        'config.json',
      );
      expect(await box.create()).toMatchObject({ code: 0 });
      writeFileSync(file, readFileSync(file, 'utf8').replace('echo before', 'echo after'));
      await box.do('start', ['a']);
      await box.wait();
      expect(box.output()).toBe('before\n');
    },
  },
  {
    name: 'delete_only_create_resources',
    body: async (box) => {
      await box.running((spec) => script(spec, 'echo kept >/kept; exit 0'));
      await box.wait();
      // What lies in a cgroup above is not ours to remove.
      for (const at of cgroupsBelow(box.cgroup))
        if (at.endsWith(box.cgroup)) mkdirSync(join(at, 'others'));
      expect(await box.do('delete', ['a'])).toMatchObject({ code: 0 });
      expect(readFileSync(join(box.dir, 'bundles/a/rootfs/kept'), 'utf8')).toBe('kept\n');
      const left = cgroupsBelow(box.cgroup).filter((at) => !at.endsWith(box.cgroup));
      expect(left.length).toBeGreaterThan(0);
      for (const at of left) {
        expect(at).toMatch(/others$/);
        execFileSync('rmdir', [at]);
      }
    },
  },
  inside(
    'misc_props: unknown annotations are ignored',
    (spec) => {
      spec.annotations = { 'org.example.unknown': 'x' };
    },
    'echo fine',
    'fine',
  ),
  inside(
    'misc_props: unknown properties are ignored',
    (spec) => {
      Object.assign(spec, { unknown: { a: 1 } });
      Object.assign(spec.process, { unknown: 'x' });
    },
    'echo fine',
    'fine',
  ),
  inside(
    'domainname',
    (spec) => {
      Object.assign(spec.linux, { sysctl: { 'kernel.domainname': 'example.org' } });
    },
    'cat /proc/sys/kernel/domainname',
    'example.org',
  ),
]);
