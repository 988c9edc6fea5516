// SPDX-License-Identifier: Apache-2.0
// The ioctls of pseudoterminals about bytes under way: tcflush(3), tcflow(3), and TIOCSTI.

import { CAP_SYS_ADMIN } from '../../../abi/capability.ts';
import { EFAULT, EINVAL, EIO, isErrno, type SysResult } from '../../../abi/errno.ts';
import { POLLOUT } from '../../../abi/poll.ts';
import { SIGTTOU } from '../../../abi/signal.ts';
import {
  TCIFLUSH,
  TCIOFF,
  TCIOFLUSH,
  TCION,
  TCOFLUSH,
  TCOOFF,
  TCOON,
  VSTART,
  VSTOP,
} from '../../../abi/termios.ts';
import type { Task } from '../../kernel/task.ts';
import type { Caller } from '../../vfs/caller.ts';
import { isCapable } from '../../vfs/credentials.ts';
import { BufferSource } from '../../vfs/io.ts';
import { checkForeground } from './job-control.ts';
import type { Terminal } from './terminal.ts';

/** TCFLSH: tcflush(3). */
export function flush(terminal: Terminal, which: number, caller: Caller): SysResult {
  const allowed = checkForeground(caller as Task, terminal, SIGTTOU);
  if (isErrno(allowed)) return allowed;
  if (which !== TCIFLUSH && which !== TCOFLUSH && which !== TCIOFLUSH) return EINVAL;
  if (which !== TCOFLUSH) terminal.flushInput();
  if (which !== TCIFLUSH) terminal.flushOutput();
  return 0;
}

/** TCXONC on the slave: tcflow(3). */
export function slaveFlow(terminal: Terminal, action: number, caller: Caller): SysResult {
  const allowed = checkForeground(caller as Task, terminal, SIGTTOU);
  if (isErrno(allowed)) return allowed;
  const { cc } = terminal.termios;
  switch (action) {
    case TCOOFF:
      terminal.discipline.stopByCall();
      return 0;
    case TCOON:
      terminal.discipline.startByCall();
      return 0;
    case TCIOFF:
      terminal.sendFlowCharacter(cc[VSTOP] as number);
      return 0;
    case TCION:
      terminal.sendFlowCharacter(cc[VSTART] as number);
      return 0;
    default:
      return EINVAL;
  }
}

/** TCXONC on the master, which stops and starts its own side. */
export function masterFlow(terminal: Terminal, action: number): SysResult {
  switch (action) {
    case TCOOFF:
      terminal.masterStopped = true;
      return 0;
    case TCOON:
      terminal.masterStopped = false;
      terminal.master?.notify(POLLOUT);
      return 0;
    case TCIOFF:
      terminal.writeInput(new BufferSource(Uint8Array.of(0x13)));
      return 0;
    case TCION:
      terminal.writeInput(new BufferSource(Uint8Array.of(0x11)));
      return 0;
    default:
      return EINVAL;
  }
}

/** TIOCSTI as with dev.tty.legacy_tiocsti = 0: a way to type into somebody else's shell, so for root only. */
export function simulateInput(terminal: Terminal, argument: number, caller: Caller): SysResult {
  if (!isCapable(caller.credentials, CAP_SYS_ADMIN)) return EIO;
  const byte = caller.memory.view(argument, 1);
  if (isErrno(byte)) return EFAULT;
  terminal.discipline.simulate(byte.getUint8(0));
  return 0;
}
