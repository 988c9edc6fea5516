// The ioctls of pseudoterminals (ioctl_tty(2)). Most mean the slave whichever side is asked.

import { CAP_SYS_ADMIN } from '../../../abi/capability.ts';
import {
  EFAULT,
  EINVAL,
  EIO,
  ENOTTY,
  EPERM,
  ESRCH,
  isErrno,
  type Result,
  type SysResult,
} from '../../../abi/errno.ts';
import {
  O_ACCMODE,
  O_CLOEXEC,
  O_NOCTTY,
  O_NONBLOCK,
  O_RDWR,
  O_WRONLY,
} from '../../../abi/fcntl.ts';
import { POLLOUT } from '../../../abi/poll.ts';
import { SIGINT, SIGQUIT, SIGTSTP, SIGTTOU } from '../../../abi/signal.ts';
import {
  CLOCAL,
  N_TTY,
  TCFLSH,
  TCGETA,
  TCGETS,
  TCGETS2,
  TCIFLUSH,
  TCIOFF,
  TCIOFLUSH,
  TCION,
  TCOFLUSH,
  TCOOFF,
  TCOON,
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
  termioLayout,
  termios2Layout,
  termiosLayout,
  VSTART,
  VSTOP,
  winsizeLayout,
} from '../../../abi/termios.ts';
import type { ProcessGroup } from '../../kernel/session.ts';
import type { Task } from '../../kernel/task.ts';
import type { Caller } from '../../vfs/caller.ts';
import { isCapable } from '../../vfs/credentials.ts';
import { BufferSource } from '../../vfs/io.ts';
import {
  checkForeground,
  clearTerminal,
  controllingTerminalOf,
  disassociate,
  isSessionLeader,
  leaveTerminal,
  sessionOf,
  signalProcessGroup,
  takeTerminal,
} from './job-control.ts';
import type { PtyMaster } from './pty-master.ts';
import type { PtySlave } from './pty-slave.ts';
import type { Terminal } from './terminal.ts';
import {
  readTermio,
  readTermios,
  readTermios2,
  type Termios,
  writeTermio,
  writeTermios,
  writeTermios2,
} from './termios.ts';

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

/** What means the same on both sides. */
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

function getTermios(
  terminal: Terminal,
  command: number,
  argument: number,
  caller: Caller,
): SysResult {
  const size =
    command === TCGETS2
      ? termios2Layout.size
      : command === TCGETA
        ? termioLayout.size
        : termiosLayout.size;
  const bytes = new Uint8Array(size);
  const write =
    command === TCGETS2 ? writeTermios2 : command === TCGETA ? writeTermio : writeTermios;
  write(new DataView(bytes.buffer), terminal.termios);
  return caller.memory.write(argument, bytes);
}

function setTermios(
  terminal: Terminal,
  command: number,
  argument: number,
  caller: Caller,
): SysResult {
  const allowed = checkForeground(caller as Task, terminal, SIGTTOU);
  if (isErrno(allowed)) return allowed;
  const wanted = readTermiosArgument(terminal, command, argument, caller);
  if (isErrno(wanted)) return wanted;
  if (command === TCSETSF || command === TCSETSF2 || command === TCSETAF) terminal.flushInput();
  terminal.setTermios(wanted);
  return 0;
}

function readTermiosArgument(
  terminal: Terminal,
  command: number,
  argument: number,
  caller: Caller,
): Result<Termios> {
  if (command === TCSETA || command === TCSETAW || command === TCSETAF) {
    const view = caller.memory.view(argument, termioLayout.size);
    return isErrno(view) ? view : readTermio(view, terminal.termios);
  }
  const second = command === TCSETS2 || command === TCSETSW2 || command === TCSETSF2;
  const view = caller.memory.view(argument, second ? termios2Layout.size : termiosLayout.size);
  if (isErrno(view)) return view;
  return second ? readTermios2(view) : readTermios(view);
}

function getWindowSize(terminal: Terminal, argument: number, caller: Caller): SysResult {
  const bytes = new Uint8Array(winsizeLayout.size);
  const view = new DataView(bytes.buffer);
  view.setUint16(winsizeLayout.rows, terminal.windowSize.rows, true);
  view.setUint16(winsizeLayout.columns, terminal.windowSize.columns, true);
  view.setUint16(winsizeLayout.xPixels, terminal.windowSize.xPixels, true);
  view.setUint16(winsizeLayout.yPixels, terminal.windowSize.yPixels, true);
  return caller.memory.write(argument, bytes);
}

function setWindowSize(terminal: Terminal, argument: number, caller: Caller): SysResult {
  const view = caller.memory.view(argument, winsizeLayout.size);
  if (isErrno(view)) return view;
  terminal.setWindowSize({
    rows: view.getUint16(winsizeLayout.rows, true),
    columns: view.getUint16(winsizeLayout.columns, true),
    xPixels: view.getUint16(winsizeLayout.xPixels, true),
    yPixels: view.getUint16(winsizeLayout.yPixels, true),
  });
  return 0;
}

/** tcflush(3). */
function flush(terminal: Terminal, which: number, caller: Caller): SysResult {
  const allowed = checkForeground(caller as Task, terminal, SIGTTOU);
  if (isErrno(allowed)) return allowed;
  if (which !== TCIFLUSH && which !== TCOFLUSH && which !== TCIOFLUSH) return EINVAL;
  if (which !== TCOFLUSH) terminal.flushInput();
  if (which !== TCIFLUSH) terminal.flushOutput();
  return 0;
}

/** tcflow(3). */
function slaveFlow(terminal: Terminal, action: number, caller: Caller): SysResult {
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

function masterFlow(terminal: Terminal, action: number): SysResult {
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
function simulateInput(terminal: Terminal, argument: number, caller: Caller): SysResult {
  if (!isCapable(caller.credentials, CAP_SYS_ADMIN)) return EIO;
  const byte = caller.memory.view(argument, 1);
  if (isErrno(byte)) return EFAULT;
  terminal.discipline.simulate(byte.getUint8(0));
  return 0;
}

function controls(terminal: Terminal, caller: Caller): boolean {
  return controllingTerminalOf(caller as Task) === terminal;
}

function foregroundId(terminal: Terminal, argument: number, caller: Caller): SysResult {
  return caller.memory.writeU32(argument, terminal.session?.foreground?.id ?? 0);
}

function sessionId(terminal: Terminal, argument: number, caller: Caller): SysResult {
  if (terminal.session === undefined) return ENOTTY;
  return caller.memory.writeU32(argument, terminal.session.id);
}

/** tcsetpgrp(3). */
function setForeground(terminal: Terminal, argument: number, caller: Caller): SysResult {
  const task = caller as Task;
  const allowed = checkForeground(task, terminal, SIGTTOU);
  if (isErrno(allowed)) return allowed === EIO ? ENOTTY : allowed;
  const view = task.memory.view(argument, 4);
  if (isErrno(view)) return view;
  const id = view.getInt32(0, true);
  if (id < 0) return EINVAL;
  if (!controls(terminal, caller)) return ENOTTY;
  const session = sessionOf(task);
  const group = findGroup(task, id);
  if (group === undefined) return ESRCH;
  if (group.session !== session) return EPERM;
  session.foreground = group;
  return 0;
}

/** A process group that has members. */
function findGroup(task: Task, id: number): ProcessGroup | undefined {
  const own = task.group.processGroup;
  if (own.id === id) return own;
  return task.pids.processGroups.get(id);
}

function takeControl(slave: PtySlave, argument: number, caller: Caller): SysResult {
  const task = caller as Task;
  const terminal = slave.terminal;
  if (isSessionLeader(task) && terminal.session === sessionOf(task)) return 0;
  if (!isSessionLeader(task) || controllingTerminalOf(task) !== undefined) return EPERM;
  const privileged = isCapable(task.credentials, CAP_SYS_ADMIN);
  if (terminal.session !== undefined) {
    if (argument !== 1 || !privileged) return EPERM;
    clearTerminal(terminal);
  }
  if ((slave.flags & O_ACCMODE) === O_WRONLY && !privileged) return EPERM;
  takeTerminal(task, terminal);
  return 0;
}

function giveUpControl(terminal: Terminal, caller: Caller): SysResult {
  const task = caller as Task;
  if (!controls(terminal, caller)) return ENOTTY;
  if (isSessionLeader(task)) disassociate(sessionOf(task), terminal, 'request');
  else leaveTerminal(task, terminal);
  return 0;
}

function signalForeground(terminal: Terminal, signal: number): SysResult {
  if (signal !== SIGINT && signal !== SIGQUIT && signal !== SIGTSTP) return EINVAL;
  signalProcessGroup(terminal.session?.foreground, signal);
  return 0;
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
