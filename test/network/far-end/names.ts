// SPDX-License-Identifier: Apache-2.0
// A name server with a few names, for tests (RFC 1035): over UDP and TCP.
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

const TYPE_A = 1;
const NO_SUCH_NAME = 3;

/** The answer to `query`; names that are not in `zone` do not exist. `isCut`: TC, ask by TCP. */
function answer(query: Buffer, zone: ReadonlyMap<string, string>, isCut: boolean): Buffer {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length).toLowerCase());
    at += 1 + length;
  }
  const type = query.readUInt16BE(at + 1);
  const question = query.subarray(12, at + 5);
  const address = zone.get(labels.join('.'));
  const head = Buffer.alloc(12);
  query.copy(head, 0, 0, 2);
  head.writeUInt16BE(0x8180 | (isCut ? 0x200 : 0) | (address === undefined ? NO_SUCH_NAME : 0), 2);
  head.writeUInt16BE(1, 4);
  if (address === undefined || type !== TYPE_A || isCut) return Buffer.concat([head, question]);
  head.writeUInt16BE(1, 6);
  const record = Buffer.from([0xc0, 12, 0, TYPE_A, 0, 1, 0, 0, 0, 30, 0, 4]);
  return Buffer.concat([head, question, record, Buffer.from(address.split('.').map(Number))]);
}

/** Names that begin with "long" are answered over TCP alone. */
export function serveNames(host: string, zone: ReadonlyMap<string, string>): Promise<void> {
  const udp = createSocket('udp4');
  udp.on('message', (query, { port, address }) => {
    const isCut = query.toString('latin1', 13, 17) === 'long';
    udp.send(answer(query, zone, isCut), port, address);
  });
  const tcp = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes: Buffer) => {
      const reply = answer(bytes.subarray(2), zone, false);
      socket.write(Buffer.concat([Buffer.from([reply.length >> 8, reply.length & 255]), reply]));
    });
  });
  return new Promise((resolve) => {
    udp.bind(53, host, () => tcp.listen(53, host, resolve));
  });
}
