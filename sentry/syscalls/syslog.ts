// SPDX-License-Identifier: Apache-2.0
// syslog(2): do_syslog of kernel/printk/printk.c, over a log in which nothing is ever written.
import { CAP_SYS_ADMIN, CAP_SYSLOG } from '../../abi/capability.ts';
import { EINVAL, EPERM, ERESTARTSYS, type SysResult } from '../../abi/errno.ts';
import * as action from '../../abi/syslog.ts';
import { type Blocking, type MaybeBlocking, sleepUntil } from '../base/wait.ts';
import type { Task } from '../kernel/task.ts';
import { isCapable } from '../vfs/credentials.ts';
import type { SyscallArgs } from './args.ts';
import { type Row, sleeps } from './entry.ts';

/** Linux's answer with CONFIG_LOG_BUF_SHIFT=14, its smallest usual buffer. */
const LOG_BUFFER_BYTES = 16384;

/** Actions that anybody may ask for while kernel.dmesg_restrict is 0. */
const forEverybody: ReadonlySet<number> = new Set([
  action.SYSLOG_ACTION_READ_ALL,
  action.SYSLOG_ACTION_SIZE_BUFFER,
]);

const reads: ReadonlySet<number> = new Set([
  action.SYSLOG_ACTION_READ,
  action.SYSLOG_ACTION_READ_ALL,
  action.SYSLOG_ACTION_READ_CLEAR,
]);

function sysSyslog(task: Task, args: SyscallArgs): MaybeBlocking {
  const type = args.i32(0);
  const lengthBytes = args.i32(2);
  const { credentials } = task;
  const isAllowed =
    forEverybody.has(type) ||
    isCapable(credentials, CAP_SYSLOG) ||
    isCapable(credentials, CAP_SYS_ADMIN);
  if (!isAllowed) return EPERM;
  if (type < action.SYSLOG_ACTION_CLOSE || type > action.SYSLOG_ACTION_SIZE_BUFFER) return EINVAL;
  if (reads.has(type)) {
    if (args.addr(1) === 0 || lengthBytes < 0) return EINVAL;
    return type === action.SYSLOG_ACTION_READ && lengthBytes > 0 ? waitForMessage() : 0;
  }
  if (type === action.SYSLOG_ACTION_CONSOLE_LEVEL && (lengthBytes < 1 || lengthBytes > 8))
    return EINVAL;
  return type === action.SYSLOG_ACTION_SIZE_BUFFER ? LOG_BUFFER_BYTES : 0;
}

/** SYSLOG_ACTION_READ waits for the next message; none ever comes. */
function* waitForMessage(): Blocking<SysResult> {
  yield sleepUntil(Number.POSITIVE_INFINITY);
  return ERESTARTSYS;
}

export const syslogRows: readonly Row[] = [
  sleeps(103, 'syslog', ['int', 'addr', 'int'], sysSyslog, { partial: 'the log is empty' }),
];
