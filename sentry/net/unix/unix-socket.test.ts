// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import {
  EAGAIN,
  ECONNREFUSED,
  ECONNRESET,
  EINVAL,
  ENOTCONN,
  EPIPE,
  isErrno,
  type SysResult,
} from '../../../abi/errno.ts';
import { POLLHUP, POLLIN, POLLOUT, POLLRDHUP } from '../../../abi/poll.ts';
import { SIGPIPE } from '../../../abi/signal.ts';
import {
  AF_UNIX,
  MSG_DONTWAIT,
  MSG_PEEK,
  MSG_TRUNC,
  MSG_WAITALL,
  SHUT_WR,
  SO_PASSCRED,
  SO_PEERCRED,
  SO_RCVTIMEO,
  SOCK_DGRAM,
  SOCK_SEQPACKET,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../../../abi/socket.ts';
import { FakeTask } from '../../../test/support/fake-task.ts';
import { pipeRows } from '../../syscalls/pipe.ts';
import { readWriteRows } from '../../syscalls/read-write.ts';
import { sendReceiveRows } from '../../syscalls/send-receive.ts';
import { socketRows } from '../../syscalls/socket.ts';
import type { OpenFile } from '../../vfs/open-file.ts';
import type { UnixSocket } from './unix-socket.ts';

const pairAt = 64;
const nameAt = 256;
const headerAt = 512;
const iovAt = 640;
const controlAt = 768;
const bufferAt = 4096;

class Guest extends FakeTask {
  pair(type: number): [number, number] {
    expect(this.now(socketRows, 'socketpair', AF_UNIX, type, 0, pairAt)).toBe(0);
    return [this.memory.data.getInt32(pairAt, true), this.memory.data.getInt32(pairAt + 4, true)];
  }

  socket(type: number): SysResult {
    return this.now(socketRows, 'socket', AF_UNIX, type, 0);
  }

  /** Stores the abstract address `name`; its length. */
  abstract(name: string): number {
    this.memory.data.setUint16(nameAt, AF_UNIX, true);
    this.memory.bytes[nameAt + 2] = 0;
    for (let i = 0; i < name.length; i += 1) this.memory.bytes[nameAt + 3 + i] = name.charCodeAt(i);
    return 3 + name.length;
  }

  send(fd: number, text: string, flags = 0): SysResult {
    this.memory.bytes.set(new TextEncoder().encode(text), bufferAt);
    return this.now(sendReceiveRows, 'sendto', fd, bufferAt, text.length, flags, 0, 0);
  }

  text(length: number): string {
    return new TextDecoder().decode(this.memory.bytes.subarray(bufferAt, bufferAt + length));
  }

  receive(fd: number, length: number, flags = 0): string | number {
    const count = this.now(sendReceiveRows, 'recvfrom', fd, bufferAt, length, flags, 0, 0);
    return isErrno(count) ? count : this.text(Math.min(count, length));
  }

  /** A header with one buffer of `length` bytes and `control` bytes of control data. */
  header(length: number, control: number): void {
    const data = this.memory.data;
    for (let at = headerAt; at < headerAt + 56; at += 4) data.setUint32(at, 0, true);
    data.setUint32(headerAt + 16, iovAt, true);
    data.setUint32(headerAt + 24, 1, true);
    data.setUint32(headerAt + 32, control === 0 ? 0 : controlAt, true);
    data.setUint32(headerAt + 40, control, true);
    data.setUint32(iovAt, bufferAt, true);
    data.setUint32(iovAt + 8, length, true);
  }

  sendFiles(fd: number, length: number, fds: readonly number[]): SysResult {
    this.header(length, 16 + 4 * fds.length);
    const data = this.memory.data;
    data.setUint32(controlAt, 16 + 4 * fds.length, true);
    data.setUint32(controlAt + 4, 0, true);
    data.setInt32(controlAt + 8, SOL_SOCKET, true);
    data.setInt32(controlAt + 12, 1, true);
    for (const [index, sent] of fds.entries())
      data.setInt32(controlAt + 16 + 4 * index, sent, true);
    return this.now(sendReceiveRows, 'sendmsg', fd, headerAt, 0);
  }

  /** Receives with room for control data: [count, control bytes used]. */
  receiveHeader(fd: number, length: number, control = 128): [number, number] {
    this.header(length, control);
    const count = this.now(sendReceiveRows, 'recvmsg', fd, headerAt, 0);
    return [count, this.memory.data.getUint32(headerAt + 40, true)];
  }

  file(fd: number): OpenFile {
    return this.files.get(fd) as OpenFile;
  }
}

it('has the buffers that net.core.wmem_default and rmem_default say when it is made', () => {
  const guest = new Guest();
  guest.kernel.settings.set('net.core.wmem_default', '60000');
  guest.kernel.settings.set('net.core.rmem_default', '50000');
  const file = guest.files.get(guest.socket(SOCK_DGRAM)) as UnixSocket;
  expect(file.options.sendBufferBytes).toBe(60_000);
  expect(file.options.receiveBufferBytes).toBe(50_000);
});

describe('stream sockets', () => {
  it('pass bytes both ways, without message borders', () => {
    const guest = new Guest();
    const [a, b] = guest.pair(SOCK_STREAM);
    guest.send(a, 'hello ');
    guest.send(a, 'world');
    expect(guest.receive(b, 100)).toBe('hello world');
    guest.send(b, 'back');
    expect(guest.receive(a, 2)).toBe('ba');
    expect(guest.receive(a, 2, MSG_PEEK)).toBe('ck');
    expect(guest.receive(a, 9)).toBe('ck');
    expect(guest.receive(a, 9, MSG_DONTWAIT)).toBe(EAGAIN);
  });

  it('connect, accept, and know their peers', () => {
    const guest = new Guest();
    const server = guest.socket(SOCK_STREAM);
    const client = guest.socket(SOCK_STREAM);
    const length = guest.abstract('server-1');
    expect(guest.now(socketRows, 'connect', client, nameAt, length)).toBe(ECONNREFUSED);
    expect(guest.now(socketRows, 'bind', server, nameAt, length)).toBe(0);
    expect(guest.now(socketRows, 'connect', client, nameAt, length)).toBe(ECONNREFUSED);
    guest.now(socketRows, 'listen', server, 5);
    const accept = guest.sleeping(socketRows, 'accept', server, 0, 0);
    expect(guest.now(socketRows, 'connect', client, nameAt, length)).toBe(0);
    const served = accept.resume('event') as number;
    expect(served).toBeGreaterThan(0);
    guest.send(client, 'hi');
    expect(guest.receive(served, 10)).toBe('hi');
    guest.memory.data.setUint32(1000, 12, true);
    guest.now(socketRows, 'getsockopt', served, SOL_SOCKET, SO_PEERCRED, 1004, 1000);
    expect(guest.memory.data.getInt32(1004, true)).toBe(7);
    guest.memory.data.setUint32(1000, 110, true);
    expect(guest.now(socketRows, 'getpeername', client, 1004, 1000)).toBe(0);
    expect(guest.memory.data.getUint32(1000, true)).toBe(length);
  });

  it('wait while the backlog is full', () => {
    const guest = new Guest();
    const server = guest.socket(SOCK_STREAM);
    const length = guest.abstract('server-2');
    guest.now(socketRows, 'bind', server, nameAt, length);
    guest.now(socketRows, 'listen', server, 0);
    const connect = (): SysResult => guest.socket(SOCK_STREAM);
    expect(guest.now(socketRows, 'connect', connect(), nameAt, length)).toBe(0);
    const waiting = guest.sleeping(socketRows, 'connect', connect(), nameAt, length);
    guest.now(socketRows, 'accept', server, 0, 0);
    expect(waiting.resume('event')).toBe(0);
  });

  it('end, break and reset as the other side goes', () => {
    const guest = new Guest();
    const [a, b] = guest.pair(SOCK_STREAM);
    guest.send(b, 'rest');
    guest.now(socketRows, 'shutdown', b, SHUT_WR);
    expect(guest.file(a).poll()).toBe(POLLIN | 0x40 | POLLRDHUP | POLLOUT | 0x300);
    expect(guest.receive(a, 10)).toBe('rest');
    expect(guest.receive(a, 10)).toBe('');
    guest.send(a, 'unread');
    guest.files.remove(b);
    expect(guest.file(a).poll() & POLLHUP).toBe(POLLHUP);
    expect(guest.receive(a, 10)).toBe(ECONNRESET);
    expect(guest.send(a, 'x')).toBe(EPIPE);
    expect(guest.sent).toEqual([SIGPIPE]);
  });

  it('go on sending as room comes, and wait for all with MSG_WAITALL', () => {
    const guest = new Guest();
    const [a, b] = guest.pair(SOCK_STREAM);
    const send = guest.sleeping(readWriteRows, 'write', a, bufferAt, 500_000);
    const receive = guest.sleeping(
      sendReceiveRows,
      'recvfrom',
      b,
      520_000,
      500_000,
      MSG_WAITALL,
      0,
      0,
    );
    for (let round = 0; round < 10 && receive.result === undefined; round += 1) {
      send.resume('event');
      receive.resume('event');
    }
    expect(send.result).toBe(500_000);
    expect(receive.result).toBe(500_000);
  });

  it('give up after SO_RCVTIMEO', () => {
    const guest = new Guest();
    const [a] = guest.pair(SOCK_STREAM);
    guest.memory.data.setUint32(bufferAt, 2, true);
    guest.now(socketRows, 'setsockopt', a, SOL_SOCKET, SO_RCVTIMEO, bufferAt, 16);
    const read = guest.sleeping(readWriteRows, 'read', a, bufferAt, 10);
    expect(read.deadlineNs).toBe(guest.nowNs + 2e9);
    expect(read.resume('deadline')).toBe(EAGAIN);
  });
});

describe('message sockets', () => {
  it('keep messages apart and cut them', () => {
    const guest = new Guest();
    const [a, b] = guest.pair(SOCK_DGRAM);
    guest.send(a, 'one');
    guest.send(a, '');
    guest.send(a, 'three');
    expect(guest.receive(b, 100)).toBe('one');
    expect(guest.receive(b, 100)).toBe('');
    expect(guest.now(sendReceiveRows, 'recvfrom', b, bufferAt, 2, MSG_TRUNC, 0, 0)).toBe(5);
    expect(guest.receive(b, 100, MSG_DONTWAIT)).toBe(EAGAIN);
  });

  it('send to names, and wait for a full queue', () => {
    const guest = new Guest();
    const server = guest.socket(SOCK_DGRAM);
    const client = guest.socket(SOCK_DGRAM);
    const length = guest.abstract('dgram-1');
    expect(guest.send(client, 'x')).toBe(ENOTCONN);
    guest.now(socketRows, 'bind', server, nameAt, length);
    const send = (): SysResult =>
      guest.now(sendReceiveRows, 'sendto', client, bufferAt, 3, MSG_DONTWAIT, nameAt, length);
    for (let count = 0; count < 11; count += 1) expect(send()).toBe(3);
    expect(send()).toBe(EAGAIN);
    const waiting = guest.sleeping(
      sendReceiveRows,
      'sendto',
      client,
      bufferAt,
      3,
      0,
      nameAt,
      length,
    );
    guest.receive(server, 10);
    expect(waiting.resume('event')).toBe(3);
    guest.files.remove(server);
    expect(send()).toBe(ECONNREFUSED);
  });

  it('end a seqpacket connection', () => {
    const guest = new Guest();
    const [a, b] = guest.pair(SOCK_SEQPACKET);
    guest.send(a, 'last');
    guest.files.remove(a);
    expect(guest.receive(b, 10)).toBe('last');
    expect(guest.receive(b, 10)).toBe('');
    expect(guest.send(b, 'x')).toBe(EPIPE);
    expect(guest.sent).toEqual([]);
  });
});

describe('files in messages', () => {
  it('arrive as new descriptors of the same file', () => {
    const guest = new Guest();
    const [a, b] = guest.pair(SOCK_STREAM);
    guest.now(pipeRows, 'pipe', 0);
    const r = guest.memory.data.getInt32(0, true);
    const file = guest.file(r);
    expect(guest.sendFiles(a, 1, [r])).toBe(1);
    guest.files.remove(r);
    expect(file.references).toBe(1);
    guest.send(a, 'tail');
    expect(guest.receiveHeader(b, 100)).toEqual([1, 24]);
    const fd = guest.memory.data.getInt32(controlAt + 16, true);
    expect(guest.file(fd)).toBe(file);
    expect(file.references).toBe(1);
    expect(guest.receive(b, 100)).toBe('tail');
  });

  it('are closed when nobody receives them', () => {
    const guest = new Guest();
    const [a, b] = guest.pair(SOCK_STREAM);
    guest.now(pipeRows, 'pipe', 0);
    const file = guest.file(guest.memory.data.getInt32(0, true));
    guest.sendFiles(a, 1, [guest.memory.data.getInt32(0, true)]);
    expect(file.references).toBe(2);
    expect(guest.receive(b, 1).toString().length).toBe(1); // plain recv throws them away
    expect(file.references).toBe(1);
    guest.sendFiles(a, 1, [guest.memory.data.getInt32(0, true)]);
    guest.files.remove(b);
    expect(file.references).toBe(1);
  });

  it('that hold each other are collected', () => {
    const guest = new Guest();
    const [a, b] = guest.pair(SOCK_STREAM);
    guest.now(pipeRows, 'pipe', 0);
    const witness = guest.file(guest.memory.data.getInt32(0, true));
    guest.sendFiles(a, 1, [a, guest.memory.data.getInt32(0, true)]);
    guest.sendFiles(b, 1, [b]);
    guest.files.remove(a);
    expect(witness.references).toBe(2);
    guest.files.remove(b);
    expect(witness.references).toBe(1);
  });

  it('nested a thousand deep are closed without recursion', () => {
    const guest = new Guest();
    guest.files.limit = 10_000;
    let [inner, other] = guest.pair(SOCK_STREAM);
    guest.files.remove(other);
    for (let depth = 0; depth < 1000; depth += 1) {
      const [a, b] = guest.pair(SOCK_STREAM);
      expect(guest.sendFiles(a, 1, [inner])).toBe(1);
      guest.files.remove(inner);
      guest.files.remove(a);
      inner = b;
    }
    guest.files.remove(inner);
    other = 0;
    expect(guest.files.count).toBe(0);
  });

  it('come with credentials when asked for', () => {
    const guest = new Guest();
    const [a, b] = guest.pair(SOCK_DGRAM);
    guest.memory.data.setUint32(bufferAt, 1, true);
    guest.now(socketRows, 'setsockopt', b, SOL_SOCKET, SO_PASSCRED, bufferAt, 4);
    guest.send(a, 'me');
    expect(guest.receiveHeader(b, 10)).toEqual([2, 32]);
    expect(guest.memory.data.getInt32(controlAt + 16, true)).toBe(7);
  });

  it('refuse malformed control messages', () => {
    const guest = new Guest();
    const [a] = guest.pair(SOCK_STREAM);
    guest.sendFiles(a, 1, [a]);
    guest.memory.data.setUint32(controlAt, 15, true);
    expect(guest.now(sendReceiveRows, 'sendmsg', a, headerAt, 0)).toBe(EINVAL);
  });
});
