// SPDX-License-Identifier: Apache-2.0
// The standard streams of a process that is started from outside: host descriptors as they are, or
// the slave of a pseudo-terminal whose master is connected to the caller's terminal.
import { isErrno } from '../../abi/errno.ts';
import { AT_FDCWD, O_NOCTTY, O_RDWR } from '../../abi/fcntl.ts';
import { S_IFMT, S_IFSOCK } from '../../abi/stat.ts';
import { native } from '../../native/addon.ts';
import type { ProcessConfig, TerminalConfig, WindowSize } from '../../protocol/boot-config.ts';
import type { DevptsFileSystem } from '../fs/devpts/devpts-filesystem.ts';
import { GivenDescriptor } from '../fs/given/given-descriptor.ts';
import { openGivenDescriptor } from '../fs/given/given-file.ts';
import { connectHostTerminal, type HostTerminal } from '../fs/tty/host-terminal.ts';
import { takeTerminal } from '../fs/tty/job-control.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Task } from '../kernel/task.ts';
import { GivenSocket } from '../net/given/given-socket.ts';
import type { FsCaller } from '../vfs/fs-context.ts';
import { openNow } from '../vfs/open.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import { BootFailure } from './boot-failure.ts';

export interface Streams {
  readonly files: readonly OpenFile[];
  /** The terminal's number in /dev/pts, where there is one. */
  readonly terminalIndex: number | undefined;
  /** The session of the process gets the terminal, as login(1) would give it. */
  giveTerminalTo(task: Task): void;
  resize(size: WindowSize): void;
  /** Whether what is typed is the guest's; not before it is said so. */
  takeInput(on: boolean): void;
  /** Writes out what the guest has written, at the end. */
  flush(): void;
  /** The process has ended while the sandbox goes on. */
  disconnect(): void;
}

/** The parts of which streams are made. */
export interface StreamSources {
  readonly kernel: Kernel;
  /** Standard input, output and error on the host. */
  readonly hostFds: readonly [number, number, number];
  /** Further descriptors, for 3, 4 and so on: closed with the guest's last file of them in any case. */
  readonly moreFds: readonly number[];
  /**
   * The host descriptors are closed with the guest's last file of them; else they stay while the
   * Sentry lives.
   */
  readonly isOwned: boolean;
  /** Told of each host descriptor that an open file, or its end, will close. */
  readonly taken: (hostFd: number) => void;
  readonly devpts: DevptsFileSystem;
  /** Root of the container. */
  readonly caller: FsCaller;
}

export function openStreams(process: ProcessConfig, sources: StreamSources): Streams {
  const { terminal, user } = process;
  const streams =
    terminal === undefined ? plainStreams(sources) : terminalStreams(terminal, user.uid, sources);
  const more = sources.moreFds.map((fd) => openHost(sources, fd, true));
  return { ...streams, files: [...streams.files, ...more] };
}

function hostStream(sources: StreamSources, fd: number): OpenFile {
  return openHost(sources, sources.hostFds[fd] as number, sources.isOwned);
}

function openHost({ kernel, taken }: StreamSources, hostFd: number, isOwned: boolean): OpenFile {
  const descriptor = new GivenDescriptor(hostFd, kernel.platform, isOwned);
  taken(hostFd);
  if ((descriptor.mode & S_IFMT) === S_IFSOCK)
    return new GivenSocket(descriptor, kernel.platform, kernel.clock);
  return openGivenDescriptor(descriptor, kernel.clock);
}

function plainStreams(sources: StreamSources): Streams {
  return {
    files: [0, 1, 2].map((fd) => hostStream(sources, fd)),
    terminalIndex: undefined,
    giveTerminalTo: () => undefined,
    resize: () => undefined,
    takeInput: () => undefined,
    flush: () => undefined,
    disconnect: () => undefined,
  };
}

function terminalStreams(config: TerminalConfig, uid: number, sources: StreamSources): Streams {
  const { kernel, devpts, hostFds, isOwned } = sources;
  const console = connectHostTerminal({
    devpts,
    platform: kernel.platform,
    hostFd: hostFds[0],
    uid,
    closed: () => {
      if (isOwned) native.close(hostFds[0]);
    },
  });
  if (isErrno(console)) throw new BootFailure(`cannot make a terminal: errno ${-console}`);
  sources.taken(hostFds[0]);
  console.setWindowSize(config.window.rows, config.window.columns);
  const slave = openSlave(console, sources.caller);
  const isShared = (fd: number): boolean => config.streams[fd] === true;
  for (const fd of [1, 2]) {
    if (!isOwned || !isShared(fd)) continue;
    sources.taken(hostFds[fd] as number);
    native.close(hostFds[fd] as number);
  }
  return {
    files: [0, 1, 2].map((fd) => (isShared(fd) ? slave : hostStream(sources, fd))),
    terminalIndex: console.terminal.index,
    giveTerminalTo: (task) => takeTerminal(task, console.terminal),
    takeInput: (on) => console.takeInput(on),
    resize: ({ rows, columns }) => console.setWindowSize(rows, columns),
    flush: () => console.flush(),
    disconnect: () => console.disconnect(),
  };
}

/** By its name, so that ttyname(3) finds it. */
function openSlave(console: HostTerminal, caller: FsCaller): OpenFile {
  const path = `/dev/pts/${console.terminal.index}`;
  const slave = openNow(caller, AT_FDCWD, path, { flags: O_RDWR | O_NOCTTY, mode: 0, resolve: 0 });
  if (isErrno(slave)) throw new BootFailure(`cannot open the terminal: errno ${-slave}`);
  return slave;
}
