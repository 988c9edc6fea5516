// pidfd_open(2): a descriptor that stands for a process; readable when it has ended.

import { POLLHUP, POLLIN, POLLRDNORM } from '../../abi/poll.ts';
import { S_IFREG } from '../../abi/stat.ts';
import type { Waker } from '../base/wait.ts';
import type { Node } from '../vfs/node.ts';
import { OpenFile } from '../vfs/open-file.ts';
import type { ThreadGroup } from './thread-group.ts';

export const PIDFD_MODE = S_IFREG | 0o600;

export class PidFd extends OpenFile {
  readonly group: ThreadGroup;
  override readonly node: Node;
  readonly #relay: Waker = { wake: (events) => this.queue.notify(events) };

  constructor(group: ThreadGroup, node: Node, flags: number) {
    super(flags);
    this.group = group;
    this.node = node;
    group.exitQueue.join(this.#relay, POLLIN);
  }

  override get description(): string {
    return 'anon_inode:[pidfd]';
  }

  override poll(): number {
    if (this.group.state === 'reaped') return POLLIN | POLLRDNORM | POLLHUP;
    return this.group.isDead ? POLLIN | POLLRDNORM : 0;
  }

  override close(): void {
    this.group.exitQueue.leave(this.#relay);
  }
}
