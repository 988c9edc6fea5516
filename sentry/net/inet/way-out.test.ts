// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import {
  EAGAIN,
  ECONNREFUSED,
  ECONNRESET,
  EINPROGRESS,
  EISCONN,
  ENETUNREACH,
  ENOTCONN,
  EPIPE,
  isErrno,
  type Result,
} from '../../../abi/errno.ts';
import { O_NONBLOCK } from '../../../abi/fcntl.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP } from '../../../abi/poll.ts';
import { AF_INET, SHUT_RDWR, SHUT_WR } from '../../../abi/socket.ts';
import { FakeTask, rootCredentials } from '../../../test/support/fake-task.ts';
import { BufferSink, BufferSource } from '../../vfs/io.ts';
import { noControl, Received, type SocketCaller, type SocketKernel } from '../socket.ts';
import { type Endpoint, encodeInetAddress } from './address.ts';
import { TcpSocket } from './tcp-socket.ts';
import { UdpSocket } from './udp-socket.ts';
import type { DatagramOwner, OutsideStream, StreamOwner, WayOut } from './way-out.ts';

const ownIp = '\x0a\0\x02\x0f';
const far: Endpoint = { ip: '\xc0\0\x02\x01', port: 80 };
const farBytes = encodeInetAddress(far, AF_INET);
const nowhere = encodeInetAddress({ ip: '\xc6\x33\x64\x01', port: 80 }, AF_INET);

/** Leads to `far` alone, and does what the test says. */
class FakeWay implements WayOut {
  owner: StreamOwner | undefined;
  sent = '';
  toRead = '';
  isEnded = false;
  closed: 'reset' | 'closed' | undefined;
  readonly datagrams: string[] = [];
  readonly forgotten: DatagramOwner[] = [];

  isOwn(ip: string): boolean {
    return ip === ownIp;
  }

  route(to: Endpoint): Result<string> {
    return to.ip === far.ip ? ownIp : ENETUNREACH;
  }

  connect(owner: StreamOwner): OutsideStream {
    this.owner = owner;
    return this.stream();
  }

  stream(): OutsideStream {
    const way = this;
    return {
      send: (source) => {
        const bytes = new Uint8Array(source.remaining);
        const count = source.take(bytes);
        way.sent += Buffer.from(bytes).toString();
        return count;
      },
      receive: (sink) => {
        if (way.toRead === '') return way.isEnded ? 0 : EAGAIN;
        const count = sink.put(Buffer.from(way.toRead));
        way.toRead = '';
        return count;
      },
      endSending: () => {
        way.sent += '<end>';
      },
      poll: () => POLLOUT | (way.isEnded ? POLLIN | POLLRDHUP : 0),
      get unreadBytes() {
        return way.toRead.length;
      },
      close: (resets) => {
        way.closed = resets ? 'reset' : 'closed';
      },
    };
  }

  sendDatagram(_owner: DatagramOwner, _from: Endpoint, to: Endpoint, bytes: Uint8Array): number {
    this.datagrams.push(`${to.port}:${Buffer.from(bytes).toString()}`);
    return 0;
  }

  forget(owner: DatagramOwner): void {
    this.forgotten.push(owner);
  }
}

const task = new FakeTask();
const kernel = task.kernel as unknown as SocketKernel;
const caller = task.task as unknown as SocketCaller;
const tcp = (way: WayOut): TcpSocket =>
  new TcpSocket(AF_INET, O_NONBLOCK, rootCredentials, kernel, way);
const send = (socket: TcpSocket | UdpSocket, text: string, to?: Uint8Array): number =>
  socket.send(new BufferSource(Buffer.from(text)), 0, to, noControl, undefined);
const receive = (socket: TcpSocket): string | number => {
  const buffer = Buffer.alloc(64);
  const count = socket.receive(new BufferSink(buffer), 0, new Received());
  return isErrno(count) ? count : buffer.toString('latin1', 0, count);
};

function connected(): { way: FakeWay; socket: TcpSocket } {
  const way = new FakeWay();
  const socket = tcp(way);
  expect(socket.connect(farBytes, caller)).toBe(EINPROGRESS);
  way.owner?.outsideConnected();
  expect(socket.connect(farBytes, caller)).toBe(0);
  return { way, socket };
}

describe('a stream that leads out', () => {
  it('is connecting until the way out says that it is connected', () => {
    const way = new FakeWay();
    const socket = tcp(way);
    expect(socket.connect(farBytes, caller)).toBe(EINPROGRESS);
    expect(socket.poll() & POLLOUT).toBe(0);
    way.owner?.outsideConnected();
    expect(socket.poll() & POLLOUT).toBe(POLLOUT);
    expect(socket.connect(farBytes, caller)).toBe(0);
    expect(socket.connect(farBytes, caller)).toBe(EISCONN);
    expect(socket.peerAddress()).toEqual(farBytes);
    expect(socket.localAddress().subarray(4, 8)).toEqual(Uint8Array.of(10, 0, 2, 15));
    socket.close();
    expect(way.closed).toBe('closed');
  });

  it('tells a refused connection once', () => {
    const way = new FakeWay();
    const socket = tcp(way);
    socket.connect(farBytes, caller);
    way.owner?.outsideFailed(ECONNREFUSED);
    expect(socket.poll() & (POLLERR | POLLHUP)).not.toBe(0);
    expect(socket.takeError()).toBe(-ECONNREFUSED);
    expect(socket.takeError()).toBe(0);
    expect(socket.peerAddress()).toBe(ENOTCONN);
    socket.close();
  });

  it('carries bytes and both ends of them', () => {
    const { way, socket } = connected();
    expect(send(socket, 'hello')).toBe(5);
    expect(receive(socket)).toBe(EAGAIN);
    way.toRead = 'there';
    expect(receive(socket)).toBe('there');
    expect(socket.shutdown(SHUT_WR)).toBe(0);
    expect(way.sent).toBe('hello<end>');
    expect(send(socket, 'x')).toBe(EPIPE);
    way.isEnded = true;
    expect(receive(socket)).toBe('');
    expect(socket.poll() & (POLLIN | POLLRDHUP | POLLHUP)).toBe(POLLIN | POLLRDHUP | POLLHUP);
    socket.close();
  });

  it('is reset by the other end', () => {
    const { way, socket } = connected();
    way.owner?.outsideFailed(ECONNRESET);
    expect(receive(socket)).toBe(ECONNRESET);
    expect(receive(socket)).toBe('');
    expect(send(socket, 'x')).toBe(EPIPE);
    socket.close();
  });

  it('is reset by a close with unread bytes', () => {
    const { way, socket } = connected();
    way.toRead = 'unread';
    socket.close();
    expect(way.closed).toBe('reset');
  });
});

describe('a destination', () => {
  it('that the way out does not lead to is unreachable', () => {
    expect(tcp(new FakeWay()).connect(nowhere, caller)).toBe(ENETUNREACH);
  });

  it('that is an own address stays inside', () => {
    const way = new FakeWay();
    const own = encodeInetAddress({ ip: ownIp, port: 9 }, AF_INET);
    const socket = tcp(way);
    expect(socket.connect(own, caller)).toBe(EINPROGRESS);
    expect(way.owner).toBeUndefined();
    socket.close();
  });
});

describe('a connection from outside', () => {
  it('goes to the listener until its queue is full', () => {
    const way = new FakeWay();
    const listener = tcp(way);
    const at = { ip: ownIp, port: 8080 };
    expect(TcpSocket.acceptFromOutside(at, far, () => way.stream())).toBe(false);
    const any = encodeInetAddress({ ip: '\0\0\0\0', port: 8080 }, AF_INET);
    expect(listener.bind(any, caller)).toBe(0);
    expect(listener.listen(0, caller)).toBe(0);
    expect(TcpSocket.acceptFromOutside(at, far, () => way.stream())).toBe(true);
    expect(TcpSocket.acceptFromOutside(at, far, () => way.stream())).toBe(false);
    const served = listener.accept(O_NONBLOCK, caller) as TcpSocket;
    expect(served.peerAddress()).toEqual(farBytes);
    expect(send(served, 'hi')).toBe(2);
    expect(way.sent).toBe('hi');
    expect(served.shutdown(SHUT_RDWR)).toBe(0);
    served.close();
    listener.close();
  });
});

describe('datagrams', () => {
  it('go out and are forgotten with their socket', () => {
    const way = new FakeWay();
    const socket = new UdpSocket(AF_INET, O_NONBLOCK, rootCredentials, kernel, way);
    expect(send(socket, 'query', farBytes)).toBe(5);
    expect(send(socket, 'query', nowhere)).toBe(ENETUNREACH);
    expect(way.datagrams).toEqual(['80:query']);
    socket.close();
    expect(way.forgotten).toEqual([socket]);
  });
});
