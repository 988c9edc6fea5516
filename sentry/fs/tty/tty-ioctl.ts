// SPDX-License-Identifier: Apache-2.0
// The ioctls of pseudoterminals (ioctl_tty(2)): which side answers which, and those of the
// pseudoterminal itself. Most mean the slave whichever side is asked. The families have files of
// their own: termios-ioctl.ts, flow-ioctl.ts and job-control-ioctl.ts.

import { CAP_SYS_ADMIN } from '../../../abi/capability.ts';
import { EINVAL, EIO, ENOTTY, EPERM, isErrno, type SysResult } from '../../../abi/errno.ts';
import { O_CLOEXEC, O_NOCTTY, O_NONBLOCK, O_RDWR, O_WRONLY } from '../../../abi/fcntl.ts';
import { SIGTTOU } from '../../../abi/signal.ts';
import {
  CLOCAL,
  N_TTY,
  TCFLSH,
  TCGETA,
  TCGETS,
  TCGETS2,
  TCSBRK,
  TCSBRKP,
  TCSETA,
  TCSETAF,
  TCSETAW,
  TCSETS,
  TCSETS2,
  TCSETSF,
  TCSETSF2,
  TCSETSW,
  TCSETSW2,
  TCXONC,
  TIOCCBRK,
  TIOCCONS,
  TIOCEXCL,
  TIOCGDEV,
  TIOCGETD,
  TIOCGEXCL,
  TIOCGPGRP,
  TIOCGPKT,
  TIOCGPTLCK,
  TIOCGPTN,
  TIOCGPTPEER,
  TIOCGSID,
  TIOCGSOFTCAR,
  TIOCGWINSZ,
  TIOCINQ,
  TIOCNOTTY,
  TIOCNXCL,
  TIOCOUTQ,
  TIOCPKT,
  TIOCSBRK,
  TIOCSCTTY,
  TIOCSETD,
  TIOCSIG,
  TIOCSPGRP,
  TIOCSPTLCK,
  TIOCSSOFTCAR,
  TIOCSTI,
  TIOCSWINSZ,
  TIOCVHANGUP,
} from '../../../abi/termios.ts';
import type { Task } from '../../kernel/task.ts';
import type { Caller } from '../../vfs/caller.ts';
import { isCapable } from '../../vfs/credentials.ts';
import { flush, masterFlow, simulateInput, slaveFlow } from './flow-ioctl.ts';
import { checkForeground } from './job-control.ts';
import {
  controls,
  foregroundId,
  giveUpControl,
  sessionId,
  setForeground,
  signalForeground,
  takeControl,
} from './job-control-ioctl.ts';
import type { PtyMaster } from './pty-master.ts';
import type { PtySlave } from './pty-slave.ts';
import type { Terminal } from './terminal.ts';
import { getTermios, getWindowSize, setTermios, setWindowSize } from './termios-ioctl.ts';

/** ioctl(2) on the slave. */
export function slaveIoctl(
  slave: PtySlave,
  command: number,
  argument: number,
  caller: Caller,
): SysResult {
  const terminal = slave.terminal;
  if (slave.hungUp) return command === TIOCSPGRP ? ENOTTY : EIO;
  switch (command) {
    case TIOCINQ:
      return caller.memory.writeU32(argument, terminal.discipline.inputBytes());
    case TIOCSTI:
      return simulateInput(terminal, argument, caller);
    case TCXONC:
      return slaveFlow(terminal, argument, caller);
    case TIOCSCTTY:
      return takeControl(slave, argument, caller);
    case TIOCNOTTY:
      return giveUpControl(terminal, caller);
    case TIOCGPTPEER:
      return EIO;
    case TIOCGPGRP:
      return controls(terminal, caller) ? foregroundId(terminal, argument, caller) : ENOTTY;
    case TIOCGSID:
      return controls(terminal, caller) ? sessionId(terminal, argument, caller) : ENOTTY;
    default:
      return commonIoctl(terminal, command, argument, caller);
  }
}

/** ioctl(2) on the master. */
export function masterIoctl(
  master: PtyMaster,
  command: number,
  argument: number,
  caller: Caller,
): SysResult {
  const terminal = master.terminal;
  const { memory } = caller;
  switch (command) {
    case TIOCINQ:
      return memory.writeU32(argument, terminal.output.length);
    case TCXONC:
      return masterFlow(terminal, argument);
    case TIOCGPGRP:
      return foregroundId(terminal, argument, caller);
    case TIOCGSID:
      return sessionId(terminal, argument, caller);
    case TIOCGPTN:
      return memory.writeU32(argument, terminal.index);
    case TIOCSPTLCK:
      return setFlag(argument, caller, (on) => {
        terminal.locked = on;
      });
    case TIOCGPTLCK:
      return memory.writeU32(argument, terminal.locked ? 1 : 0);
    case TIOCPKT:
      return setFlag(argument, caller, (on) => {
        if (on && !terminal.packetMode) terminal.packetStatus = 0;
        terminal.packetMode = on;
      });
    case TIOCGPKT:
      return memory.writeU32(argument, terminal.packetMode ? 1 : 0);
    case TIOCSIG:
      return signalForeground(terminal, argument);
    case TIOCGPTPEER:
      return openPeer(master, argument, caller);
    // Differs from Linux: a master is never a controlling terminal.
    case TIOCSCTTY:
    case TIOCSTI:
      return EPERM;
    case TIOCNOTTY:
      return ENOTTY;
    default:
      return commonIoctl(terminal, command, argument, caller);
  }
}

/** The ioctls that mean the same on both sides. */
function commonIoctl(
  terminal: Terminal,
  command: number,
  argument: number,
  caller: Caller,
): SysResult {
  switch (command) {
    case TCGETS:
    case TCGETS2:
    case TCGETA:
      return getTermios(terminal, command, argument, caller);
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
    case TCSETS2:
    case TCSETSW2:
    case TCSETSF2:
    case TCSETA:
    case TCSETAW:
    case TCSETAF:
      return setTermios(terminal, command, argument, caller);
    case TIOCGWINSZ:
      return getWindowSize(terminal, argument, caller);
    case TIOCSWINSZ:
      return setWindowSize(terminal, argument, caller);
    case TIOCSPGRP:
      return setForeground(terminal, argument, caller);
    case TCFLSH:
      return flush(terminal, argument, caller);
    case TIOCOUTQ:
      return caller.memory.writeU32(argument, 0);
    default:
      return rareIoctl(terminal, command, argument, caller);
  }
}

function rareIoctl(
  terminal: Terminal,
  command: number,
  argument: number,
  caller: Caller,
): SysResult {
  const { memory } = caller;
  switch (command) {
    // What was written is at the master already, and a pty has no line to break.
    case TCSBRK:
    case TCSBRKP:
    case TIOCSBRK:
    case TIOCCBRK:
      return checkForeground(caller as Task, terminal, SIGTTOU);
    case TIOCEXCL:
      terminal.exclusive = true;
      return 0;
    case TIOCNXCL:
      terminal.exclusive = false;
      return 0;
    case TIOCGEXCL:
      return memory.writeU32(argument, terminal.exclusive ? 1 : 0);
    case TIOCGETD:
      return memory.writeU32(argument, N_TTY);
    case TIOCSETD:
      return setDiscipline(terminal, argument, caller);
    case TIOCGDEV:
      return memory.writeU32(argument, terminal.rdev);
    case TIOCGSOFTCAR:
      return memory.writeU32(argument, (terminal.termios.cflag & CLOCAL) !== 0 ? 1 : 0);
    case TIOCSSOFTCAR:
      return setFlag(argument, caller, (on) => {
        const cflag = on ? terminal.termios.cflag | CLOCAL : terminal.termios.cflag & ~CLOCAL;
        terminal.setTermios({ ...terminal.termios, cflag: cflag >>> 0 });
      });
    case TIOCVHANGUP:
      if (!isCapable(caller.credentials, CAP_SYS_ADMIN)) return EPERM;
      terminal.hangUp();
      return 0;
    // There is no console whose output could be taken over.
    case TIOCCONS:
      return EPERM;
    default:
      return ENOTTY;
  }
}

function setDiscipline(terminal: Terminal, argument: number, caller: Caller): SysResult {
  const wanted = caller.memory.view(argument, 4);
  if (isErrno(wanted)) return wanted;
  const allowed = checkForeground(caller as Task, terminal, SIGTTOU);
  if (isErrno(allowed)) return allowed;
  return wanted.getInt32(0, true) === N_TTY ? 0 : EINVAL;
}

function setFlag(argument: number, caller: Caller, set: (on: boolean) => void): SysResult {
  const view = caller.memory.view(argument, 4);
  if (isErrno(view)) return view;
  set(view.getInt32(0, true) !== 0);
  return 0;
}

/** TIOCGPTPEER: the slave's descriptor, whatever its name's permissions. */
function openPeer(master: PtyMaster, flags: number, caller: Caller): SysResult {
  if ((flags & ~(O_RDWR | O_WRONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK)) !== 0) return EINVAL;
  const node = master.owner.slaveNode(master.terminal.index);
  if (node === undefined) return EIO;
  const slave = master.terminal.openSlave(node, flags & ~O_CLOEXEC, caller);
  if (isErrno(slave)) return slave;
  const fd = (caller as Task).files.add(slave, (flags & O_CLOEXEC) !== 0);
  if (isErrno(fd)) slave.close();
  return fd;
}
