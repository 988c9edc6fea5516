// SPDX-License-Identifier: Apache-2.0
// What `runts spec` writes: runc's template, whose numbers and paths are those of the OCI
// specification's own example.
import { NEWEST_VERSION } from './version.ts';

/** Root in a user namespace of its own, for who is not root on the host. */
export interface RootlessIds {
  readonly uid: number;
  readonly gid: number;
}

const capabilities = ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE'];

/** Plain JSON, not a Spec: it is there to be edited. */
export function defaultSpec(rootless: RootlessIds | undefined): object {
  return {
    ociVersion: NEWEST_VERSION,
    process: {
      terminal: true,
      user: { uid: 0, gid: 0 },
      args: ['sh'],
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'TERM=xterm'],
      cwd: '/',
      capabilities: {
        bounding: capabilities,
        effective: capabilities,
        permitted: capabilities,
      },
      rlimits: [{ type: 'RLIMIT_NOFILE', hard: 1024, soft: 1024 }],
      noNewPrivileges: true,
    },
    root: { path: 'rootfs', readonly: true },
    hostname: 'runts',
    mounts: mounts(rootless),
    linux: linux(rootless),
  };
}

function mounts(rootless: RootlessIds | undefined): object[] {
  const quiet = ['nosuid', 'noexec', 'nodev'];
  // A user namespace with one id has no group 5.
  const ttyGroup = rootless === undefined ? ['gid=5'] : [];
  return [
    { destination: '/proc', type: 'proc', source: 'proc' },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', ...ttyGroup],
    },
    {
      destination: '/dev/shm',
      type: 'tmpfs',
      source: 'shm',
      options: [...quiet, 'mode=1777', 'size=65536k'],
    },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: quiet },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...quiet, 'ro'] },
    {
      destination: '/sys/fs/cgroup',
      type: 'cgroup',
      source: 'cgroup',
      options: [...quiet, 'relatime', 'ro'],
    },
  ];
}

function linux(rootless: RootlessIds | undefined): object {
  const namespaces = ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type }));
  const hidden = {
    maskedPaths: [
      '/proc/acpi',
      '/proc/asound',
      '/proc/kcore',
      '/proc/keys',
      '/proc/latency_stats',
      '/proc/timer_list',
      '/proc/timer_stats',
      '/proc/sched_debug',
      '/sys/firmware',
      '/proc/scsi',
    ],
    readonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
  };
  if (rootless === undefined) {
    return { resources: { devices: [{ allow: false, access: 'rwm' }] }, namespaces, ...hidden };
  }
  return {
    uidMappings: [{ containerID: 0, hostID: rootless.uid, size: 1 }],
    gidMappings: [{ containerID: 0, hostID: rootless.gid, size: 1 }],
    namespaces: [...namespaces, { type: 'user' }],
    ...hidden,
  };
}
