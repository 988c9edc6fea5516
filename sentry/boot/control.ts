// Carries out what the command line asks for while the kernel runs, and tells it of stops.
import { SIGCONT, SIGKILL, SIGSTOP } from '../../abi/signal.ts';
import { signaledStatus } from '../../abi/wait.ts';
import type { ControlChannel } from '../host/control-channel.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { type ControlEvent, type ControlRequest, eventLine } from './control-protocol.ts';
import type { Streams } from './streams.ts';

export class Control {
  readonly #kernel: Kernel;
  readonly #channel: ControlChannel;
  readonly #streams: Streams;

  constructor(kernel: Kernel, channel: ControlChannel, streams: Streams) {
    this.#kernel = kernel;
    this.#channel = channel;
    this.#streams = streams;
  }

  /** `hasTerminal`: the guest's first instruction finds the caller's terminal raw. */
  start(hasTerminal: boolean): void {
    this.#kernel.mainStopped = (stopped, signal) => {
      if (stopped) this.#streams.takeInput(false);
      this.#tell(stopped ? { type: 'stopped', signal } : { type: 'continued' });
    };
    this.#tell({ type: 'started' });
    if (hasTerminal) this.#awaitRaw();
    this.#channel.watch(this.#kernel.platform, {
      line: (text) => this.#obey(JSON.parse(text) as ControlRequest),
      // The launcher ends this process; until then nobody cares for the guest.
      hangUp: () => this.#kernel.kill(signaledStatus(SIGKILL, false)),
    });
  }

  #awaitRaw(): void {
    for (;;) {
      const line = this.#channel.readLine();
      if (line === undefined) return;
      const request = JSON.parse(line) as ControlRequest;
      if (request.type === 'raw') return;
      this.#obey(request);
    }
  }

  #obey(request: ControlRequest): void {
    if (request.type === 'signal')
      this.#kernel.mainGroup?.send({ signal: request.signal, code: 0 });
    else if (request.type === 'stop') this.#signalAll(SIGSTOP);
    else if (request.type === 'continue') this.#signalAll(SIGCONT);
    else if (request.type === 'foreground') this.#streams.takeInput(true);
    else if (request.type === 'window') this.#streams.resize(request);
    else if (request.type === 'kill') this.#kernel.kill(signaledStatus(SIGKILL, false));
  }

  #signalAll(signal: number): void {
    for (const group of [...this.#kernel.groups.values()]) {
      if (!group.isInit) group.send({ signal, code: 0 });
    }
  }

  #tell(event: ControlEvent): void {
    this.#channel.send(eventLine(event));
  }
}
