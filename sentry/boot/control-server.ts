// SPDX-License-Identifier: Apache-2.0
// The sandbox's control socket: connections from `runts exec` and, in a pod, from further
// containers. Whoever can connect has the state directory, and so is the user or root; a request
// that makes no sense ends its connection.

import { isErrno } from '../../abi/errno.ts';
import { POLLIN } from '../../abi/poll.ts';
import { native } from '../../native/addon.ts';
import type { LimitsConfig } from '../../protocol/boot-config.ts';
import {
  type ConnectionRequest,
  type ControlEvent,
  eventLine,
  type ProcessRequest,
  type StatsRequest,
} from '../../protocol/control.ts';
import { SENTRY_LISTEN } from '../../protocol/descriptors.ts';
import { nextTurn } from '../base/turn.ts';
import { type ChannelListener, ControlChannel } from '../host/control-channel.ts';
import type { HostFdWatcher, Platform } from '../platform/platform.ts';
import { BootFailure } from './boot-failure.ts';
import { type ControlledProcess, ProcessControl } from './process-control.ts';

/** The requests that a connection can make. */
export interface RequestHandler {
  /**
   * The process, loaded. Throws BootFailure. The descriptors (standard streams, and a Gofer's
   * socket for 'create') are the handler's in any case. `ended` is told of the process's end.
   */
  handle(
    request: ProcessRequest,
    hostFds: readonly number[],
    ended: (status: number) => void,
  ): ControlledProcess;

  /** The host processes of a container's processes. Throws BootFailure. */
  hostProcesses(container: string): number[];

  /** Counts the sandbox's system calls from here on. Throws BootFailure. */
  countCalls(container: string): CallCounting;

  /** Changes the limits that the guest sees. */
  update(container: string, limits: LimitsConfig): void;

  /** Whether anything is done for a container's processes. Throws BootFailure. */
  setPaused(container: string, isPaused: boolean): void;
}

/** A count of system calls that goes on. */
export interface CallCounting {
  /** Ends it, and tells what was counted. */
  end(): string;
}

/** How many come with a request at least. */
const DESCRIPTORS: Readonly<Record<string, number>> = {
  exec: 3,
  create: 4,
  ps: 0,
  update: 0,
  pause: 0,
  resume: 0,
  stats: 0,
};
/** Connections that are in the middle of their request. */
const MAX_PENDING = 64;

/** Serves as long as the Sentry lives. */
export function serveControl(platform: Platform, handler: RequestHandler): void {
  new ControlServer(SENTRY_LISTEN, platform, handler).listen();
}

class ControlServer implements HostFdWatcher {
  readonly #fd: number;
  readonly #platform: Platform;
  readonly #handler: RequestHandler;
  #pending = 0;

  constructor(fd: number, platform: Platform, handler: RequestHandler) {
    this.#fd = fd;
    this.#platform = platform;
    this.#handler = handler;
  }

  listen(): void {
    this.#platform.watch(this.#fd, POLLIN, this);
  }

  ready(_events: number): void {
    while (this.#pending < MAX_PENDING) {
      const fd = native.acceptConnection(this.#fd);
      if (isErrno(fd)) return;
      this.#serve(new ControlChannel(fd));
    }
    // Who comes next waits in the kernel's queue.
    this.#platform.unwatch(this.#fd);
  }

  #serve(channel: ControlChannel): void {
    this.#pending += 1;
    const first: ChannelListener = {
      line: (text) => {
        this.#settled();
        this.#obey(channel, text);
      },
      hangUp: () => {
        this.#settled();
        channel.close();
      },
    };
    channel.watch(this.#platform, first);
  }

  #settled(): void {
    if (this.#pending === MAX_PENDING) this.listen();
    this.#pending -= 1;
  }

  #answer(request: Exclude<ConnectionRequest, ProcessRequest | StatsRequest>): ControlEvent {
    const { container } = request;
    if (request.type === 'ps')
      return { type: 'processes', pids: this.#handler.hostProcesses(container) };
    if (request.type === 'update') {
      this.#handler.update(container, request.limits);
      return { type: 'updated' };
    }
    const isPaused = request.type === 'pause';
    this.#handler.setPaused(container, isPaused);
    return { type: isPaused ? 'paused' : 'resumed' };
  }

  /** The other side ends the count by a second line, or by going away. */
  #count(channel: ControlChannel, counting: CallCounting): void {
    channel.listener = {
      line: () => {
        channel.send(eventLine({ type: 'report', text: counting.end() }));
        channel.close();
      },
      hangUp: () => {
        counting.end();
        channel.close();
      },
    };
    channel.send(eventLine({ type: 'counting' }));
  }

  #obey(channel: ControlChannel, text: string): void {
    const fds = channel.takeDescriptors();
    let control: ProcessControl | undefined;
    try {
      const request = parseRequest(text, fds);
      nextTurn();
      if (request.type === 'stats') {
        this.#count(channel, this.#handler.countCalls(request.container));
        return;
      }
      if (request.type !== 'exec' && request.type !== 'create') {
        channel.send(eventLine(this.#answer(request)));
        channel.close();
        return;
      }
      const process = this.#handler.handle(request, fds, (status) => {
        control?.ended(status);
        channel.close();
      });
      control = new ProcessControl(process, channel);
      channel.listener = control;
      if (process.warning !== undefined) control.tell({ type: 'warning', text: process.warning });
      control.begin(request.type === 'create');
    } catch (error) {
      const failure =
        error instanceof BootFailure ? error : new BootFailure(`internal error: ${String(error)}`);
      channel.send(eventLine({ type: 'failed', code: failure.code, text: failure.message }));
      channel.close();
    }
  }
}

function parseRequest(text: string, fds: readonly number[]): ConnectionRequest {
  try {
    const request = JSON.parse(text) as ConnectionRequest;
    const least = DESCRIPTORS[request.type] ?? Number.POSITIVE_INFINITY;
    if (fds.length >= least && (least > 0 || fds.length === 0)) return request;
  } catch {
    // Nonsense either way.
  }
  for (const fd of fds) native.close(fd);
  throw new BootFailure('malformed request on the control socket');
}
