// SPDX-License-Identifier: Apache-2.0
// A plain config.json to start from, much as ctr writes it. Tests change what they are about.

export interface Mount {
  destination: string;
  type?: string;
  source?: string;
  options?: string[];
}

export interface Hook {
  path: string;
  args?: string[];
  env?: string[];
  timeout?: number;
}

/** Open: tests also write what no runtime may accept. */
export interface Spec {
  ociVersion: string;
  process: {
    terminal?: boolean;
    args: string[];
    env: string[];
    cwd: string;
    user: { uid: number; gid: number; additionalGids?: number[]; umask?: number };
    capabilities?: Record<string, string[]>;
    rlimits?: { type: string; soft: number; hard: number }[];
    noNewPrivileges?: boolean;
    oomScoreAdj?: number;
    consoleSize?: { height: number; width: number };
  };
  root: { path: string; readonly?: boolean };
  hostname?: string;
  domainname?: string;
  mounts: Mount[];
  annotations?: Record<string, string>;
  hooks?: Record<string, Hook[]>;
  linux: {
    cgroupsPath: string;
    namespaces: { type: string; path?: string }[];
    [field: string]: unknown;
  };
}

const CAPABILITIES =
  'CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE';

export function plainSpec(rootfs: string, cgroupsPath: string): Spec {
  const capabilities = CAPABILITIES.split(' ').map((name) => `CAP_${name}`);
  const namespaces = ['pid', 'ipc', 'uts', 'mount', 'network'].map((type) => ({ type }));
  return {
    ociVersion: '1.0.2',
    process: {
      user: { uid: 0, gid: 0 },
      args: ['sleep', '1000'],
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
      cwd: '/',
      capabilities: {
        bounding: capabilities,
        effective: capabilities,
        permitted: capabilities,
      },
    },
    root: { path: rootfs },
    hostname: 'box',
    mounts: [
      mount('/proc', 'proc', 'proc', 'nosuid,noexec,nodev'),
      mount('/dev', 'tmpfs', 'tmpfs', 'nosuid,strictatime,mode=755,size=65536k'),
      mount(
        '/dev/pts',
        'devpts',
        'devpts',
        'nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5',
      ),
      mount('/dev/shm', 'tmpfs', 'shm', 'nosuid,noexec,nodev,mode=1777,size=65536k'),
      mount('/sys', 'sysfs', 'sysfs', 'nosuid,noexec,nodev,ro'),
    ],
    linux: { cgroupsPath, namespaces, resources: { devices: [{ allow: false, access: 'rwm' }] } },
  };
}

export function mount(destination: string, type: string, source: string, options: string): Mount {
  return { destination, type, source, options: options.split(',') };
}

/** Runs a shell script as the container's program. */
export function script(spec: Spec, text: string): void {
  spec.process.args = ['/bin/sh', '-c', text];
}
