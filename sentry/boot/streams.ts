// The guest's standard streams: host descriptors as they are, or the slave of a pseudo-terminal whose master is
// connected to the caller's terminal.
import { isErrno } from '../../abi/errno.ts';
import { AT_FDCWD, O_NOCTTY, O_RDWR } from '../../abi/fcntl.ts';
import { S_IFMT, S_IFSOCK } from '../../abi/stat.ts';
import { HostDescriptor } from '../fs/host/host-descriptor.ts';
import { openHostDescriptor } from '../fs/host/host-file.ts';
import { connectHostTerminal, type HostTerminal } from '../fs/tty/host-terminal.ts';
import { takeTerminal } from '../fs/tty/job-control.ts';
import { FD_STDIO } from '../host/descriptors.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Task } from '../kernel/task.ts';
import { HostSocket } from '../net/host/host-socket.ts';
import type { FsCaller } from '../vfs/fs-context.ts';
import { openNow } from '../vfs/open.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import { BootFailure } from './boot-failure.ts';
import type { SandboxConfig, TerminalConfig, WindowSize } from './config.ts';
import type { GuestMounts } from './mounts.ts';

export interface Streams {
  readonly files: readonly OpenFile[];
  /** The session of the first process gets the terminal, as login(1) would give it. */
  giveTerminalTo(task: Task): void;
  resize(size: WindowSize): void;
  /** Whether what is typed is the guest's; not before it is said so. */
  takeInput(on: boolean): void;
  /** Writes out what the guest has written, at the end. */
  flush(): void;
}

export function openStreams(config: SandboxConfig, kernel: Kernel, mounts: GuestMounts): Streams {
  const { terminal, user } = config.container.process;
  if (terminal === undefined) return plainStreams(kernel);
  return terminalStreams(terminal, user.uid, kernel, mounts);
}

function hostStream(kernel: Kernel, fd: number): OpenFile {
  const descriptor = new HostDescriptor(FD_STDIO + fd, kernel.platform);
  if ((descriptor.mode & S_IFMT) === S_IFSOCK) return new HostSocket(descriptor, kernel.clock);
  return openHostDescriptor(descriptor, kernel.clock);
}

function plainStreams(kernel: Kernel): Streams {
  return {
    files: [0, 1, 2].map((fd) => hostStream(kernel, fd)),
    giveTerminalTo: () => undefined,
    resize: () => undefined,
    takeInput: () => undefined,
    flush: () => undefined,
  };
}

function terminalStreams(
  config: TerminalConfig,
  uid: number,
  kernel: Kernel,
  mounts: GuestMounts,
): Streams {
  const console = connectHostTerminal({
    devpts: mounts.devpts,
    platform: kernel.platform,
    hostFd: FD_STDIO,
    uid,
  });
  if (isErrno(console)) throw new BootFailure(`cannot make a terminal: errno ${-console}`);
  console.setWindowSize(config.window.rows, config.window.columns);
  const slave = openSlave(console, mounts.caller);
  return {
    files: config.streams.map((isTerminal, fd) => (isTerminal ? slave : hostStream(kernel, fd))),
    giveTerminalTo: (task) => takeTerminal(task, console.terminal),
    takeInput: (on) => console.takeInput(on),
    resize: ({ rows, columns }) => console.setWindowSize(rows, columns),
    flush: () => console.flush(),
  };
}

/** By its name, so that ttyname(3) finds it. */
function openSlave(console: HostTerminal, caller: FsCaller): OpenFile {
  const path = `/dev/pts/${console.terminal.index}`;
  const slave = openNow(caller, AT_FDCWD, path, { flags: O_RDWR | O_NOCTTY, mode: 0, resolve: 0 });
  if (isErrno(slave)) throw new BootFailure(`cannot open the terminal: errno ${-slave}`);
  return slave;
}
