// SPDX-License-Identifier: Apache-2.0
// The other end of the tests of --network user, in a network namespace of its own: HTTP, HTTPS, echo
// over TCP and UDP, a server that breaks off, a name server. Says "ready" when all of them listen.
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { createServer, type Server } from 'node:net';
import { serveNames } from './names.ts';

const [, , host = '', other = '', certificate = '', key = ''] = process.argv;
const BIG_BYTES = 8 * 1024 * 1024;

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve) => server.listen(port, '0.0.0.0', resolve));
}

/** Answers with the name that was asked for and who asks; /big with many bytes; a POST with its size. */
const pages = createHttp((request, response) => {
  let received = 0;
  request.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  request.on('end', () => {
    if (request.method === 'POST') response.end(`received ${received}\n`);
    else if (request.url === '/big') response.end(Buffer.alloc(BIG_BYTES, 'x'));
    else response.end(`page of ${request.headers.host}\n`);
  });
});

const secure = createHttps(
  { key: readFileSync(key), cert: readFileSync(certificate) },
  (request, response) => response.end(`secure page of ${request.headers.host}\n`),
);

/** Says all that it got when the other side has finished. */
const echo = createServer({ allowHalfOpen: true }, (socket) => {
  const parts: Buffer[] = [];
  socket.on('error', () => undefined);
  socket.on('data', (part: Buffer) => parts.push(part));
  socket.on('end', () => socket.end(Buffer.concat([Buffer.from('echo:'), ...parts])));
});

/** Answers whatever it hears with a little, and a reset: who was not heard may still be connecting. */
const rude = createServer((socket) => {
  socket.on('error', () => undefined);
  socket.once('data', () => socket.write('some', () => socket.resetAndDestroy()));
});

/** Tells on a later connection how an earlier one ended: "reset" or "end". */
let lastEnd = 'none';
const witness = createServer((socket) => {
  socket.on('data', (bytes) => {
    if (bytes.toString() === 'how?') socket.end(lastEnd);
  });
  socket.on('error', () => {
    lastEnd = 'reset';
  });
  socket.on('end', () => {
    lastEnd = 'end';
  });
  socket.write('unread');
});

/** Bound to one address, so that the answers come from where the question went. */
function echoDatagrams(at: string): Promise<void> {
  const datagrams = createSocket('udp4');
  datagrams.on('message', (bytes, { port, address }) => {
    datagrams.send(Buffer.concat([Buffer.from('echo:'), bytes]), port, address);
  });
  return new Promise((resolve) => datagrams.bind(7, at, resolve));
}

await Promise.all([
  listen(pages, 80),
  listen(secure, 443),
  listen(echo, 7),
  listen(rude, 9),
  listen(witness, 11),
  echoDatagrams(host),
  echoDatagrams(other),
  serveNames(
    host,
    new Map([
      ['www.example.test', host],
      ['mirror.example.test', other],
      ['long.example.test', host],
      ['evil.test', host],
      ['inside.example.test', '127.0.0.1'],
      ['metadata.example.test', '169.254.169.254'],
    ]),
  ),
]);
process.stdout.write('ready\n');
