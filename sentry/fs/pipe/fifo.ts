// SPDX-License-Identifier: Apache-2.0
// Opening a FIFO by path (fifo(7)): readers wait for a writer and writers for a reader.
// Source of the rules: fifo_open in Linux's fs/pipe.c.
import { ENXIO, ERESTARTSYS, type Result } from '../../../abi/errno.ts';
import { O_ACCMODE, O_NONBLOCK, O_RDONLY, O_WRONLY } from '../../../abi/fcntl.ts';
import { POLLIN, POLLOUT } from '../../../abi/poll.ts';
import { type Blocking, sleepOn } from '../../base/wait.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { Node } from '../../vfs/node.ts';
import type { OpenFile } from '../../vfs/open-file.ts';
import type { Opening } from '../../vfs/special-files.ts';
import { AnonymousNode } from '../anon/anonymous-node.ts';
import { Pipe } from './pipe.ts';
import { PipeEnd, PipeNode } from './pipe-end.ts';

/** Opens the FIFO `node` with O_* `flags`; permission is already checked. A generator where it must wait. */
export function openFifo(node: Node, flags: number, caller: Caller): Opening {
  // A host pipe reached through /proc/PID/fd is no pipe of ours.
  if (node instanceof AnonymousNode && !(node instanceof PipeNode)) return node.open(flags, caller);
  const pipe = pipeAt(node);
  const access = flags & O_ACCMODE;
  // An unnamed pipe reached through /proc/PID/fd never waits: it had both ends once.
  const nonblocking = (flags & O_NONBLOCK) !== 0 || node instanceof PipeNode;
  if (access === O_RDONLY) {
    const writersBefore = pipe.writerOpens;
    pipe.addReader();
    if (pipe.writers > 0) return new PipeEnd(pipe, node, flags);
    if (nonblocking)
      return new PipeEnd(pipe, node, flags, node instanceof PipeNode ? -1 : writersBefore);
    return waitForPartner(pipe, node, flags, () => pipe.writerOpens !== writersBefore);
  }
  if (access === O_WRONLY) {
    if (nonblocking && pipe.readers === 0 && !(node instanceof PipeNode)) return ENXIO;
    const readersBefore = pipe.readerOpens;
    pipe.addWriter();
    if (pipe.readers > 0 || nonblocking) return new PipeEnd(pipe, node, flags);
    return waitForPartner(pipe, node, flags, () => pipe.readerOpens !== readersBefore);
  }
  pipe.addReader();
  pipe.addWriter();
  return new PipeEnd(pipe, node, flags);
}

function pipeAt(node: Node): Pipe {
  if (node instanceof PipeNode) return node.pipe;
  const { identity } = node;
  if (identity.fifoPipe instanceof Pipe) return identity.fifoPipe;
  const pipe = new Pipe();
  identity.fifoPipe = pipe;
  return pipe;
}

function* waitForPartner(
  pipe: Pipe,
  node: Node,
  flags: number,
  partnerCame: () => boolean,
): Blocking<Result<OpenFile>> {
  const end = new PipeEnd(pipe, node, flags);
  let opened = false;
  try {
    while (!partnerCame()) {
      const wake = yield sleepOn({ queue: pipe.openQueue }, POLLIN | POLLOUT);
      if (wake === 'signal' && !partnerCame()) return ERESTARTSYS;
    }
    opened = true;
    return end;
  } finally {
    // Also when the scheduler drops the generator because the task was killed.
    if (!opened) end.close();
  }
}
