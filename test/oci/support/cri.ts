// SPDX-License-Identifier: Apache-2.0
// As much of a CRI client as the tests need: unary gRPC calls over HTTP/2 on containerd's socket,
// with protobuf messages as objects from field number to value. Numbers: Kubernetes' cri-api,
// runtime/v1/api.proto.
import { type ClientHttp2Session, connect } from 'node:http2';
import { createConnection } from 'node:net';

type Value = string | number | boolean | Message | readonly (string | number | Message)[];

export interface Message {
  readonly [field: number]: Value;
}

/** What came back: every value of a field, undecoded where it has a length. */
export class Reply {
  readonly #fields = new Map<number, (number | Buffer)[]>();

  constructor(data: Buffer) {
    const reader = { data, at: 0 };
    while (reader.at < data.length) {
      const key = readVarint(reader);
      const value = readValue(reader, key & 7);
      const values = this.#fields.get(key >>> 3) ?? [];
      values.push(value);
      this.#fields.set(key >>> 3, values);
    }
  }

  text(field: number): string {
    return String(this.#fields.get(field)?.[0] ?? '');
  }

  number(field: number): number {
    return Number(this.#fields.get(field)?.[0] ?? 0);
  }

  message(field: number): Reply {
    return this.messages(field)[0] ?? new Reply(Buffer.alloc(0));
  }

  messages(field: number): Reply[] {
    return (this.#fields.get(field) ?? []).map((value) => new Reply(value as Buffer));
  }
}

export class Cri {
  readonly #session: ClientHttp2Session;

  constructor(socket: string) {
    this.#session = connect('http://localhost', {
      createConnection: () => createConnection(socket),
    });
    this.#session.on('error', () => undefined);
  }

  close(): void {
    this.#session.close();
  }

  /** One call of the RuntimeService; fails with gRPC's message. */
  call(method: string, request: Message): Promise<Reply> {
    const body = encode(request);
    const frame = Buffer.alloc(5 + body.length);
    frame.writeUInt32BE(body.length, 1);
    body.copy(frame, 5);
    const stream = this.#session.request({
      ':method': 'POST',
      ':path': `/runtime.v1.RuntimeService/${method}`,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const chunks: Buffer[] = [];
    let status: string | undefined;
    let message = '';
    const note = (headers: NodeJS.Dict<string | string[] | number>): void => {
      status = headers['grpc-status']?.toString() ?? status;
      message = headers['grpc-message']?.toString() ?? message;
    };
    return new Promise((resolve, reject) => {
      stream.on('response', note).on('trailers', note).on('error', reject);
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        if (status === '0') resolve(new Reply(Buffer.concat(chunks).subarray(5)));
        else reject(new Error(`${method}: ${decodeURIComponent(message)} (status ${status})`));
      });
      stream.end(frame);
    });
  }
}

function encode(message: Message): Buffer {
  const parts: Buffer[] = [];
  for (const [name, value] of Object.entries(message)) {
    const values: readonly Value[] = Array.isArray(value) ? value : [value];
    for (const one of values) parts.push(encodeField(Number(name), one));
  }
  return Buffer.concat(parts);
}

function encodeField(field: number, value: Value): Buffer {
  if (typeof value === 'number' || typeof value === 'boolean') {
    return Buffer.concat([varint(field << 3), varint(Number(value))]);
  }
  const body = typeof value === 'string' ? Buffer.from(value) : encode(value as Message);
  return Buffer.concat([varint((field << 3) | 2), varint(body.length), body]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low | 128 : low);
  } while (rest > 0);
  return Buffer.from(bytes);
}

interface Reader {
  readonly data: Buffer;
  at: number;
}

function readValue(reader: Reader, kind: number): number | Buffer {
  if (kind === 0) return readVarint(reader);
  const length = kind === 2 ? readVarint(reader) : kind === 1 ? 8 : 4;
  reader.at += length;
  return reader.data.subarray(reader.at - length, reader.at);
}

function readVarint(reader: Reader): number {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = reader.data[reader.at++] ?? 0;
    value += (byte & 127) * 2 ** shift;
    if (byte < 128) return value;
  }
}
