// SPDX-License-Identifier: Apache-2.0
// One process that stands in for something on the host, and the channel to what stands there for it
// (the front of native/launcher): requests are carried out, and stops and the end are told.
import { SIGCONT, SIGKILL, SIGRTMAX, SIGSTOP } from '../../abi/signal.ts';
import { signaledStatus } from '../../abi/wait.ts';
import { type ControlEvent, type ControlRequest, eventLine } from '../../protocol/control.ts';
import type { ChannelListener, ControlChannel } from '../host/control-channel.ts';
import type { Container } from '../kernel/container.ts';
import type { Task } from '../kernel/task.ts';
import { startProcess } from '../loader/start.ts';
import type { Streams } from './streams.ts';

/** A process that is loaded and does not run yet. */
export interface ControlledProcess {
  readonly container: Container;
  readonly task: Task;
  readonly streams: Streams;
  /** Its first instruction finds the caller's terminal raw. */
  readonly hasTerminal: boolean;
  /** Something for the user to know. */
  readonly warning?: string;
}

export class ProcessControl implements ChannelListener {
  readonly #process: ControlledProcess;
  readonly #channel: ControlChannel;
  /** It was told to run; with a terminal it runs once that is raw. */
  #isStarted = false;
  #runs = false;

  constructor(process: ControlledProcess, channel: ControlChannel) {
    this.#process = process;
    this.#channel = channel;
  }

  /** `waits`: for a 'start' request. */
  begin(waits: boolean): void {
    if (waits) this.tell({ type: 'created' });
    else this.#start();
  }

  /** The process has ended. */
  ended(status: number): void {
    this.#process.streams.disconnect();
    this.tell({ type: 'exited', status });
  }

  tell(event: ControlEvent): void {
    this.#channel.send(eventLine(event));
  }

  /** Job control stopped the process, or it goes on. */
  stopped(isStopped: boolean, signal: number): void {
    if (isStopped) this.#process.streams.takeInput(false);
    this.tell(isStopped ? { type: 'stopped', signal } : { type: 'continued' });
  }

  /** Nonsense is a hang-up: what stands there for the process is not what it was. */
  line(text: string): void {
    const request = parseRequest(text);
    if (request === undefined) this.hangUp();
    else this.#obey(request);
  }

  /**
   * Nobody is left to hear of the process. That of the first container is the sandbox's own end;
   * others have theirs.
   */
  hangUp(): void {
    const { task, container } = this.#process;
    const { kernel } = container;
    // The sandbox ends with its first container, and with no other of a pod.
    if (kernel.mainGroup === task.group) kernel.kill(signaledStatus(SIGKILL, false));
    else this.#signal(SIGKILL, false);
  }

  #start(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.tell({ type: 'started' });
    if (!this.#process.hasTerminal) this.#run();
  }

  #run(): void {
    if (this.#runs || !this.#isStarted) return;
    this.#runs = true;
    startProcess(this.#process.task);
  }

  #obey(request: ControlRequest): void {
    const { streams } = this.#process;
    if (request.type === 'signal') this.#signal(request.signal, request.all === true);
    else if (request.type === 'start') this.#start();
    else if (request.type === 'raw') this.#run();
    else if (request.type === 'stop') this.#process.container.signalAll(SIGSTOP);
    else if (request.type === 'continue') this.#process.container.signalAll(SIGCONT);
    else if (request.type === 'foreground') streams.takeInput(true);
    else if (request.type === 'window') streams.resize(request);
  }

  #signal(signal: number, all: boolean): void {
    const { task, container } = this.#process;
    if (all) container.signalAll(signal);
    else task.group.send({ signal, code: 0, fromOutside: true });
    // Whoever rests would not hear of it; who sends it has the container thaw as well.
    if (signal === SIGKILL && task.group === container.main)
      container.kernel.scheduler.resume(container);
  }
}

function parseRequest(text: string): ControlRequest | undefined {
  try {
    const request = JSON.parse(text) as ControlRequest | null;
    if (typeof request !== 'object' || request === null) return undefined;
    return isSound(request) ? request : undefined;
  } catch {
    return undefined;
  }
}

function isSound(request: ControlRequest): boolean {
  if (request.type === 'signal') return isWithin(request.signal, 1, SIGRTMAX);
  if (request.type !== 'window') return true;
  return isWithin(request.rows, 0, 0xffff) && isWithin(request.columns, 0, 0xffff);
}

function isWithin(value: number, least: number, most: number): boolean {
  return Number.isInteger(value) && value >= least && value <= most;
}
