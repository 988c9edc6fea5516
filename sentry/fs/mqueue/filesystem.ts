// SPDX-License-Identifier: Apache-2.0
// mqueue: the file system of the POSIX message queues of an IPC namespace (mq_overview(7)). There
// is one for each, whether it is mounted or not; every mount of the type shows that of whoever
// mounts it.
import { MQUEUE_MAGIC } from '../../../abi/fs.ts';
import type { Clock } from '../../base/clock.ts';
import type { UserCount } from '../../base/user-count.ts';
import type { IpcNamespace } from '../../kernel/ipc/ipc-namespace.ts';
import { removeName, rootDentry } from '../../vfs/dentry.ts';
import { allocateDevice } from '../../vfs/device-number.ts';
import { Mount } from '../../vfs/mount.ts';
import { emptyStatus, type FileSystem, type FileSystemStatus } from '../../vfs/node.ts';
import type { Path } from '../../vfs/path.ts';
import { MqueueDirectory } from './directory.ts';

export class MqueueFileSystem implements FileSystem {
  readonly type = 'mqueue';
  readonly dev: number = allocateDevice();
  readonly ipc: IpcNamespace;
  readonly clock: Clock;
  readonly account: UserCount;
  readonly root: MqueueDirectory;
  /** Queues, those without a name that somebody has open too. */
  queueCount = 0;
  hasEnded = false;
  #lastIno = 0;

  constructor(ipc: IpcNamespace) {
    this.ipc = ipc;
    this.clock = ipc.kernel.clock;
    this.account = ipc.kernel.queueBytes;
    this.root = new MqueueDirectory(this);
  }

  nextIno(): number {
    this.#lastIno += 1;
    return this.#lastIno;
  }

  status(): FileSystemStatus {
    return emptyStatus(MQUEUE_MAGIC);
  }

  sync(): number {
    return 0;
  }

  /**
   * The namespace has ended: what is still open goes on until it is closed, everything else goes
   * now. Differs from Linux: it would stay visible where the file system is still mounted.
   */
  end(): void {
    this.hasEnded = true;
    const top = rootDentry(this);
    for (const [name, node] of this.root.entries()) {
      this.root.unlink(name, node);
      const dentry = top.children?.get(name);
      if (dentry !== undefined) removeName(dentry);
      else node.forgotten();
    }
  }
}

/** A namespace's file system, and the mount by which mq_open(2) goes into it. */
class Mqueue {
  readonly filesystem: MqueueFileSystem;
  /** Its directory, in no tree of mounts. */
  readonly top: Path;

  constructor(ipc: IpcNamespace) {
    this.filesystem = new MqueueFileSystem(ipc);
    this.top = new Mount(this.filesystem).rootPath;
  }

  end(): void {
    this.filesystem.end();
  }
}

export function mqueueOf(ipc: IpcNamespace): Mqueue {
  if (ipc.posixQueues instanceof Mqueue) return ipc.posixQueues;
  const made = new Mqueue(ipc);
  ipc.posixQueues = made;
  return made;
}
