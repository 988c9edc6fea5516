// SPDX-License-Identifier: Apache-2.0
// /proc/PID/{mounts,mountinfo,mountstats}: the mounts that a process can reach from its root
// (proc_pid_mountinfo(5)).

import { deviceText } from '../../../abi/dev.ts';
import {
  MS_DIRSYNC,
  MS_LAZYTIME,
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_NOSYMFOLLOW,
  MS_RDONLY,
  MS_RELATIME,
  MS_SYNCHRONOUS,
} from '../../../abi/fs.ts';
import { type Mount, namespaceOf } from '../../vfs/mount.ts';
import { climb, dentryText, type Path } from '../../vfs/path.ts';
import { type Entry, systemOperations } from '../pseudo/entry.ts';
import { processFile, type Subject } from './subject.ts';

interface ShownMount {
  readonly mount: Mount;
  readonly mountpoint: string;
}

/** Reachable mounts, parents first. */
function reachableMounts(root: Path): ShownMount[] {
  const shown: ShownMount[] = [];
  let top = root.mount;
  while (top?.parent !== undefined) top = top.parent;
  const pending = top === undefined ? [] : [top];
  for (let mount = pending.shift(); mount !== undefined; mount = pending.shift()) {
    pending.push(...mount.children.values());
    const { text, reachable } = climb(mount.rootPath, root);
    if (reachable) shown.push({ mount, mountpoint: text });
    else if (mount === root.mount) shown.push({ mount, mountpoint: '/' });
  }
  return shown;
}

/** Blanks and backslashes as octal, so that fields stay apart. */
function escapeField(text: string): string {
  return text.replace(
    /[ \t\n\\#]/g,
    (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
}

const optionNames: readonly (readonly [number, string])[] = [
  [MS_NOSUID, 'nosuid'],
  [MS_NODEV, 'nodev'],
  [MS_NOEXEC, 'noexec'],
  [MS_NOATIME, 'noatime'],
  [MS_NODIRATIME, 'nodiratime'],
  [MS_RELATIME, 'relatime'],
  [MS_NOSYMFOLLOW, 'nosymfollow'],
];

function mountOptions({ flags, filesystem }: Mount): string {
  const options = [(flags & MS_RDONLY) !== 0 ? 'ro' : 'rw'];
  for (const [flag, name] of optionNames) if ((flags & flag) !== 0) options.push(name);
  if (filesystem.isIdMapped === true) options.push('idmapped');
  return options.join(',');
}

/** Options of the file system rather than of the mount. */
function superOptions(mount: Mount): string {
  const options = [(mount.flags & MS_RDONLY) !== 0 ? 'ro' : 'rw'];
  if ((mount.flags & MS_SYNCHRONOUS) !== 0) options.push('sync');
  if ((mount.flags & MS_DIRSYNC) !== 0) options.push('dirsync');
  if ((mount.flags & MS_LAZYTIME) !== 0) options.push('lazytime');
  if (mount.data !== '') options.push(mount.data);
  return options.join(',');
}

function rootOf(subject: Subject): Path | undefined {
  return subject.task?.fs.root;
}

function mountsOf(subject: Subject): ShownMount[] {
  const root = rootOf(subject);
  return root === undefined ? [] : reachableMounts(root);
}

/**
 * A file of mounts. poll(2) tells with POLLPRI that they have changed, which is what libmount and
 * systemd wait for.
 */
export function mountTable(render: (subject: Subject) => string): Entry<Subject> {
  return processFile(0o444, render, {
    operations: systemOperations,
    changes: (subject) => namespaceOf(rootOf(subject)?.mount),
  });
}

export function renderMounts(subject: Subject): string {
  const lines = mountsOf(subject).map(({ mount, mountpoint }) => {
    const data = mount.data === '' ? '' : `,${mount.data}`;
    return `${escapeField(mount.source)} ${escapeField(mountpoint)} ${mount.filesystem.type} ${mountOptions(mount)}${data} 0 0\n`;
  });
  return lines.join('');
}

export function renderMountinfo(subject: Subject): string {
  const lines = mountsOf(subject).map(({ mount, mountpoint }) => {
    const place = `${mount.id} ${mount.parent?.id ?? mount.id} ${deviceText(mount.filesystem.dev)}`;
    const paths = `${escapeField(dentryText(mount.root))} ${escapeField(mountpoint)}`;
    return `${place} ${paths} ${mountOptions(mount)} - ${mount.filesystem.type} ${escapeField(mount.source)} ${superOptions(mount)}\n`;
  });
  return lines.join('');
}

export function renderMountstats(subject: Subject): string {
  const lines = mountsOf(subject).map(
    ({ mount, mountpoint }) =>
      `device ${escapeField(mount.source)} mounted on ${escapeField(mountpoint)} with fstype ${mount.filesystem.type}\n`,
  );
  return lines.join('');
}
