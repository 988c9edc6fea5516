// SPDX-License-Identifier: Apache-2.0
// CRI's streaming: what `crictl exec -it`, `attach` and `port-forward` do with the address that
// Exec, Attach and PortForward answer. Over a WebSocket, subprotocol v4.channel.k8s.io: the first
// byte of a message is its channel (k8s.io/kubelet, pkg/cri/streaming/remotecommand/websocket.go).
import { setTimeout as sleep } from 'node:timers/promises';

const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4 } as const;

export class Stream {
  readonly #socket: WebSocket;
  readonly #opened: Promise<void>;
  readonly #closed: Promise<void>;
  readonly #chunks: Buffer[][] = [[], [], [], []];

  constructor(url: string) {
    this.#socket = new WebSocket(url.replace(/^http/, 'ws'), 'v4.channel.k8s.io');
    this.#socket.binaryType = 'arraybuffer';
    this.#socket.addEventListener('message', ({ data }) => {
      const bytes = Buffer.from(data as ArrayBuffer);
      this.#chunks[bytes[0] ?? channel.error]?.push(bytes.subarray(1));
    });
    this.#closed = new Promise((resolve) => {
      this.#socket.addEventListener('close', () => resolve());
    });
    this.#opened = new Promise((resolve, reject) => {
      this.#socket.addEventListener('open', () => resolve());
      this.#socket.addEventListener('error', () => reject(new Error(`no WebSocket at ${url}`)));
    });
  }

  /** Port-forwarding has channel 0 for data and 1 for its error, each with the port's two bytes first. */
  get forwarded(): string {
    return this.#text(channel.stdin).slice(2);
  }

  get out(): string {
    return this.#text(channel.stdout);
  }

  get err(): string {
    return this.#text(channel.stderr);
  }

  /** A Status of Kubernetes' API as JSON, when the command has ended. */
  get error(): string {
    return this.#text(channel.error);
  }

  async write(text: string | Buffer, to: number = channel.stdin): Promise<void> {
    await this.#opened;
    this.#socket.send(Buffer.concat([Buffer.from([to]), Buffer.from(text)]));
  }

  async resize(width: number, height: number): Promise<void> {
    await this.write(JSON.stringify({ Width: width, Height: height }), channel.resize);
  }

  async until(pattern: RegExp, seconds = 20): Promise<void> {
    for (let tries = 0; tries < seconds * 20; tries++) {
      if (pattern.test(this.out)) return;
      await sleep(50);
    }
    throw new Error(`${pattern} never came: ${JSON.stringify([this.out, this.err, this.error])}`);
  }

  /** Until the other side has nothing more to say. */
  async end(): Promise<this> {
    await this.#opened;
    await this.#closed;
    return this;
  }

  close(): void {
    this.#socket.close();
  }

  #text(from: number): string {
    return Buffer.concat(this.#chunks[from] ?? []).toString('latin1');
  }
}
