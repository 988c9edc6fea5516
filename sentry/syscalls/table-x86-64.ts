// SPDX-License-Identifier: Apache-2.0
// The syscall table of x86-64: rows of all families, one list. Dispatch, strace,
// docs/compatibility.md and tests read it.

import { absentRows } from './absent.ts';
import { chmodChownRows } from './chmod-chown.ts';
import { cloneRows } from './clone.ts';
import { copyRangeRows } from './copy-range.ts';
import { credentialRows } from './credentials.ts';
import { directoryRows } from './directory.ts';
import { dupRows } from './dup.ts';
import type { Row } from './entry.ts';
import { epollRows } from './epoll.ts';
import { eventfdRows } from './eventfd.ts';
import { execRows } from './exec.ts';
import { fcntlRows } from './fcntl.ts';
import { fileLocksRows } from './file-locks.ts';
import { futexRows } from './futex.ts';
import { inotifyRows } from './inotify.ts';
import { ioctlRows } from './ioctl.ts';
import { ioprioRows } from './ioprio.ts';
import { limitRows } from './limits.ts';
import { linksRows } from './links.ts';
import { memfdRows } from './memfd.ts';
import { memoryPolicyRows } from './memory-policy.ts';
import { messageQueueRows } from './message-queues.ts';
import { mmapRows } from './mmap.ts';
import { mountRows } from './mount.ts';
import { openRows } from './open.ts';
import { pidfdRows } from './pidfd.ts';
import { pipeRows } from './pipe.ts';
import { pollRows } from './poll.ts';
import { posixQueueRows } from './posix-queues.ts';
import { prctlRows } from './prctl.ts';
import { processRows } from './process.ts';
import { processVmRows } from './process-vm.ts';
import { ptraceRows } from './ptrace.ts';
import { readWriteRows } from './read-write.ts';
import { renameRows } from './rename.ts';
import { schedRows } from './sched.ts';
import { seccompRows } from './seccomp.ts';
import { selectRows } from './select.ts';
import { semaphoreRows } from './semaphores.ts';
import { sendReceiveRows } from './send-receive.ts';
import { sendfileRows } from './sendfile.ts';
import { shmRows } from './shm.ts';
import { signalRows } from './signal.ts';
import { signalfdRows } from './signalfd.ts';
import { socketRows } from './socket.ts';
import { spliceRows } from './splice.ts';
import { statRows } from './stat.ts';
import { syncRows } from './sync.ts';
import { syslogRows } from './syslog.ts';
import { systemRows } from './system.ts';
import { timeRows } from './time.ts';
import { timerRows } from './timer.ts';
import { timerfdRows } from './timerfd.ts';
import { truncateRows } from './truncate.ts';
import { ttyRows } from './tty.ts';
import { waitRows } from './wait.ts';
import { xattrRows } from './xattr.ts';

const families: readonly (readonly Row[])[] = [
  absentRows,
  chmodChownRows,
  cloneRows,
  copyRangeRows,
  credentialRows,
  directoryRows,
  dupRows,
  epollRows,
  eventfdRows,
  execRows,
  fcntlRows,
  fileLocksRows,
  futexRows,
  inotifyRows,
  ioctlRows,
  limitRows,
  linksRows,
  memfdRows,
  memoryPolicyRows,
  messageQueueRows,
  mmapRows,
  mountRows,
  openRows,
  pidfdRows,
  pipeRows,
  pollRows,
  posixQueueRows,
  prctlRows,
  ptraceRows,
  processVmRows,
  processRows,
  readWriteRows,
  renameRows,
  schedRows,
  ioprioRows,
  seccompRows,
  selectRows,
  semaphoreRows,
  sendReceiveRows,
  shmRows,
  signalRows,
  signalfdRows,
  socketRows,
  sendfileRows,
  spliceRows,
  statRows,
  syncRows,
  syslogRows,
  systemRows,
  timeRows,
  timerRows,
  timerfdRows,
  truncateRows,
  ttyRows,
  waitRows,
  xattrRows,
];

/** Indexed by syscall number; undefined where x86-64 has no call, or none that runts knows of. */
export const table: readonly (Row | undefined)[] = tableOf(families);

/** Fails at load for two rows of one number: a mistake in the program, not of a guest. */
function tableOf(lists: readonly (readonly Row[])[]): (Row | undefined)[] {
  const rows: (Row | undefined)[] = [];
  for (const row of lists.flat()) {
    const other = rows[row.number];
    if (other !== undefined)
      throw new Error(`syscall ${row.number} is ${other.name} and ${row.name}`);
    while (rows.length <= row.number) rows.push(undefined);
    rows[row.number] = row;
  }
  return rows;
}
