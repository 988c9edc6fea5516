// mqueue, where POSIX message queues show as files (mq_overview(7)). There are none here (mq_open(2) answers ENOSYS), so
// it is an empty directory: programs that only look whether it is mounted find it.
import { MQUEUE_MAGIC } from '../../../abi/fs.ts';
import type { Clock } from '../../base/clock.ts';
import { allocateDevice } from '../../vfs/device-number.ts';
import { directory } from '../pseudo/directory.ts';
import { PseudoFileSystem } from '../pseudo/pseudo-filesystem.ts';

export function newMqueueFileSystem(clock: Clock): PseudoFileSystem {
  return new PseudoFileSystem({
    type: 'mqueue',
    magic: MQUEUE_MAGIC,
    dev: allocateDevice(),
    clock,
    subject: {},
    root: directory<object>({}, { mode: 0o1777 }),
  });
}
