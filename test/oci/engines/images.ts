// SPDX-License-Identifier: Apache-2.0
// Root filesystems and images from what this machine has installed: no registry, no network.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { root } from '../../support/run.ts';
import { dockerCommand, type Engines } from './daemons.ts';

const images = join(root, 'build/oci');

/** A plain directory with all of busybox; made once. Nobody writes to it. */
export function busyboxRootfs(): string {
  return made('busybox', (dir) => {
    copyFileSync('/bin/busybox', join(dir, 'bin/busybox'));
    for (const applet of shell('/bin/busybox --list').trim().split('\n')) {
      if (applet !== 'busybox') symlinkSync('busybox', join(dir, 'bin', applet));
    }
  });
}

/**
 * A few of Debian's packages as they lie here, so that an ordinary dynamically linked userland is
 * there too.
 */
export function debianRootfs(): string {
  const packages =
    'base-files libc6 libc-bin bash dash coreutils grep sed findutils procps util-linux ncurses-base python3-minimal python3.11-minimal libpython3.11-minimal libpython3.11-stdlib tar gzip';
  return made('debian', (dir) => {
    for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
      rmSync(join(dir, name), { recursive: true, force: true });
      mkdirSync(join(dir, 'usr', name), { recursive: true });
      symlinkSync(`usr/${name}`, join(dir, name));
    }
    shell(
      `{ dpkg -L ${packages}; dpkg -L ${packages} | grep -E 'bin/|lib-dynload/' | { xargs ldd 2>/dev/null || true; } | grep -oE '/[^ :]+' || true; } | sort -u |
       grep -vE '^/usr/share/(doc|man|locale|lintian)' |
       while read -r f; do [ -d "$f" ] && [ ! -h "$f" ] || [ ! -e "$f" ] || echo "$f"; done |
       tar -c --no-recursion --dereference --hard-dereference -P -T - 2>/dev/null |
       tar -x -P --transform 's,^/,${dir}/,' --keep-directory-symlink`,
    );
  });
}

/** Loads both into Docker, and what containerd's clients use into containerd: all as local/NAME. */
export function loadImages({ dir, env }: Engines): void {
  const importImage = (name: string, rootfs: string, command: readonly string[]): void => {
    const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    shell(
      `tar -C ${rootfs} --numeric-owner -c . |
       ${dockerCommand} import -c 'CMD ${JSON.stringify(command)}' -c 'ENV ${path}' - local/${name} >&2`,
      env,
    );
  };
  importImage('debian', debianRootfs(), ['bash']);
  importImage('busybox', busyboxRootfs(), ['sh']);
  importImage('pause', busyboxRootfs(), ['sleep', '1000000']);
  const archive = join(dir, 'images.tar');
  shell(`${dockerCommand} save -o ${archive} local/busybox local/pause`, env);
  // The namespaces of ctr and of CRI.
  for (const namespace of ['default', 'k8s.io']) {
    shell(`ctr -n ${namespace} images import ${archive} >&2`, env);
  }
}

function made(name: string, fill: (dir: string) => void): string {
  const done = join(images, name);
  if (existsSync(done)) return done;
  const dir = `${done}.${process.pid}`;
  rmSync(dir, { recursive: true, force: true });
  for (const sub of [
    'bin',
    'sbin',
    'usr/bin',
    'etc',
    'root',
    'var/log',
    'dev',
    'proc',
    'sys',
    'run',
    'tmp',
    'mnt',
  ]) {
    mkdirSync(join(dir, sub), { recursive: true });
  }
  chmodSync(join(dir, 'tmp'), 0o1777);
  fill(dir);
  writeFileSync(
    join(dir, 'etc/passwd'),
    'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nuser:x:1000:1000::/:/bin/sh\n',
  );
  writeFileSync(
    join(dir, 'etc/group'),
    'root:x:0:\nusers:x:100:user\nnogroup:x:65534:\nuser:x:1000:\n',
  );
  try {
    renameSync(dir, done);
  } catch {
    // Another worker was faster.
    rmSync(dir, { recursive: true, force: true });
  }
  return done;
}

function shell(script: string, env: Readonly<Record<string, string>> = {}): string {
  const run = spawnSync('bash', ['-o', 'pipefail', '-c', script], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  if (run.status !== 0) throw new Error(`${script}\n${run.stderr}`);
  return run.stdout;
}
