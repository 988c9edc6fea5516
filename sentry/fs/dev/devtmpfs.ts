// /dev: a tmpfs with the nodes and links that every container has (OCI runtime specification,
// "Default Devices" and "Dev symbolic links").

import {
  MEM_MAJOR,
  MEM_MINOR_FULL,
  MEM_MINOR_NULL,
  MEM_MINOR_RANDOM,
  MEM_MINOR_URANDOM,
  MEM_MINOR_ZERO,
  TTYAUX_MAJOR,
  TTYAUX_MINOR_CONSOLE,
  TTYAUX_MINOR_TTY,
} from '../../../abi/dev.ts';
import { errnoName, isErrno, type Result } from '../../../abi/errno.ts';
import { makeDevice, S_IFCHR, S_IFDIR } from '../../../abi/stat.ts';
import type { Clock } from '../../base/clock.ts';
import type { Node } from '../../vfs/node.ts';
import { TmpFileSystem } from '../tmp/filesystem.ts';

const devices: readonly (readonly [name: string, major: number, minor: number])[] = [
  ['null', MEM_MAJOR, MEM_MINOR_NULL],
  ['zero', MEM_MAJOR, MEM_MINOR_ZERO],
  ['full', MEM_MAJOR, MEM_MINOR_FULL],
  ['random', MEM_MAJOR, MEM_MINOR_RANDOM],
  ['urandom', MEM_MAJOR, MEM_MINOR_URANDOM],
  ['tty', TTYAUX_MAJOR, TTYAUX_MINOR_TTY],
];

const links: readonly (readonly [name: string, target: string])[] = [
  ['fd', '/proc/self/fd'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
  ['stderr', '/proc/self/fd/2'],
  ['ptmx', 'pts/ptmx'],
];

export interface DevOptions {
  readonly clock: Clock;
  /** Whether there is a console: `registerDevices` got one too. */
  readonly hasConsole: boolean;
}

/** A fresh /dev. `pts` and `shm` are empty directories to mount on. */
export function newDevFileSystem(options: DevOptions): TmpFileSystem {
  const filesystem = new TmpFileSystem({ clock: options.clock, mode: 0o755 });
  const { root } = filesystem;
  const owner = { uid: 0, gid: 0 };
  for (const [name, major, minor] of devices) {
    must(root.mknod(name, { mode: S_IFCHR | 0o666, ...owner }, makeDevice(major, minor)));
  }
  if (options.hasConsole) {
    must(
      root.mknod(
        'console',
        { mode: S_IFCHR | 0o620, uid: 0, gid: 5 },
        makeDevice(TTYAUX_MAJOR, TTYAUX_MINOR_CONSOLE),
      ),
    );
  }
  for (const [name, target] of links) must(root.symlink(name, target, { mode: 0o777, ...owner }));
  for (const name of ['pts', 'shm']) must(root.mkdir(name, { mode: S_IFDIR | 0o755, ...owner }));
  return filesystem;
}

/** An empty tmpfs refuses nothing of this. */
function must(made: Result<Node>): void {
  if (isErrno(made)) throw new Error(`/dev cannot be made: ${errnoName(made)}`);
}
