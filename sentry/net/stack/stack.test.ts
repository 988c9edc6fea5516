// SPDX-License-Identifier: Apache-2.0
// Frames to the stack, and what it sends for them; nonsense by a seed, within its bounds.
import { describe, expect, it } from 'vitest';
import { generator } from '../../../test/support/random.ts';
import { MemoryAccount } from '../../base/memory-account.ts';
import { TimerQueue } from '../../base/timer-queue.ts';
import type { Endpoint } from '../inet/address.ts';
import { ARP_FRAME_BYTES, ARPOP_REQUEST, parseArp, writeArp } from '../ip/arp.ts';
import { checksum, putU16 } from '../ip/checksum.ts';
import { IPV4_BYTES, makeFragment4, parseIpv4, writeHeader } from '../ip/packet.ts';
import {
  ETH_P_ARP,
  ETH_P_IP,
  ETH_P_IPV6,
  etherType,
  type Link,
  NETWORK_AT,
  writeEthernet,
} from '../link/frame.ts';
import { defaultTuning } from '../tcp/contract.ts';
import { ACK, bareHeader, RST, Segment, SYN, writeSegment } from '../tcp/segment.ts';
import { defaultSendOptions, type Listener, type Sockets } from './host.ts';
import { NetworkStack } from './stack.ts';

const own = '\x0a\x01\0\x02';
const peer = '\x0a\x01\0\x01';
const own6 = `\xfd${'\0'.repeat(14)}\x02`;
const ownAddress = Uint8Array.of(2, 0, 0, 0, 0, 2);
const peerAddress = Uint8Array.of(2, 0, 0, 0, 0, 1);

class Net {
  nowNs = 1e9;
  readonly sent: Uint8Array[] = [];
  readonly arrived: string[] = [];
  readonly account = new MemoryAccount();
  readonly timers = new TimerQueue();
  listener: Listener | undefined;
  readonly link: Link;
  readonly stack: NetworkStack;

  constructor() {
    this.link = {
      index: 2,
      name: 'eth0',
      address: ownAddress,
      mtu: 1500,
      transmit: (bytes, length) => {
        this.sent.push(bytes.slice(0, length));
        return true;
      },
    };
    const sockets: Sockets = {
      listener: () => this.listener,
      receiver: ({ port }) =>
        port === 53
          ? {
              arrived: (bytes) => void this.arrived.push(Buffer.from(bytes).toString()),
              failed: ({ errno }) => void this.arrived.push(`error ${errno}`),
            }
          : undefined,
      receivers: () => [],
    };
    const host = {
      timers: this.timers,
      nowNs: () => this.nowNs,
      randomFill: (bytes: Uint8Array) => void bytes.fill(7),
      account: this.account,
    };
    const onLink = (destination: string, prefixBits: number, gateway?: string) => ({
      destination,
      prefixBits,
      gateway,
      linkIndex: 2,
      source: undefined,
      metric: 0,
      error: undefined,
    });
    this.stack = new NetworkStack(
      host,
      {
        links: [this.link],
        addresses: [
          { ip: own, prefixBits: 24, linkIndex: 2 },
          { ip: own6, prefixBits: 64, linkIndex: 2 },
        ],
        routes: [onLink('\x0a\x01\0\0', 24), onLink('\0\0\0\0', 0, peer), onLink(own6, 64)],
      },
      sockets,
    );
  }

  receive(frame: Uint8Array): void {
    this.stack.receiveFrame(this.link, frame, frame.length);
    this.stack.endBatch();
  }

  knowPeer(): this {
    this.stack.neighbours.preset(peer, peerAddress, true);
    return this;
  }
}

function packet(protocol: number, payload: Uint8Array, from = peer, to = own): Uint8Array {
  const frame = new Uint8Array(NETWORK_AT + IPV4_BYTES + payload.length);
  const options = { hopLimit: 64, trafficClass: 0, dontFragment: false };
  writeHeader(frame, NETWORK_AT, [from, to], protocol, payload.length, options, 9);
  frame.set(payload, NETWORK_AT + IPV4_BYTES);
  writeEthernet(frame, ownAddress, peerAddress, ETH_P_IP);
  // As from a station on the same machine: nobody has summed the transport.
  frame[0] = 1;
  return frame;
}

function datagram(port: number, text: string): Uint8Array {
  const bytes = new Uint8Array(8 + text.length);
  putU16(bytes, 0, 4000);
  putU16(bytes, 2, port);
  putU16(bytes, 4, bytes.length);
  bytes.set(Buffer.from(text), 8);
  return bytes;
}

function echo(length: number): Uint8Array {
  const bytes = new Uint8Array(8 + length);
  bytes[0] = 8;
  putU16(bytes, 2, checksum(bytes, 0, bytes.length));
  return bytes;
}

function segment(
  flags: number,
  fields: { seq?: number; ack?: number; port?: number } = {},
): Uint8Array {
  const bytes = new Uint8Array(60);
  const length = writeSegment(bytes, 0, {
    ...bareHeader(fields.port ?? 4000, 80, flags),
    sequence: fields.seq ?? 1000,
    acknowledgement: fields.ack ?? 0,
    window: 1000,
    mss: 1460,
  });
  return bytes.slice(0, length);
}

function tcpOf(frame: Uint8Array): Segment {
  const found = parseIpv4(frame, NETWORK_AT, frame.length);
  const parsed = new Segment();
  if (found === undefined || !parsed.parse(frame, found.payloadAt, found.end))
    throw new Error('none');
  return parsed;
}

describe('neighbours', () => {
  it('are told who has an address, and learned from their questions', () => {
    const net = new Net();
    const question = new Uint8Array(ARP_FRAME_BYTES);
    writeArp(question, ARPOP_REQUEST, [peerAddress, peer], [undefined, own]);
    writeEthernet(question, new Uint8Array(6).fill(0xff), peerAddress, ETH_P_ARP);
    net.receive(question);
    const answer = parseArp(net.sent[0] as Uint8Array, ARP_FRAME_BYTES);
    expect([answer?.operation, answer?.senderIp, answer?.targetIp]).toEqual([2, own, peer]);
    expect(net.stack.neighbours.known(peer)).toEqual(peerAddress);
  });

  it('are asked for, and what waited goes when they answer', () => {
    const net = new Net();
    net.stack.datagrams.sendUdp(
      { ip: own, port: 1 },
      { ip: peer, port: 2 },
      Buffer.from('hello'),
      defaultSendOptions,
    );
    expect(net.sent.map(etherType)).toEqual([ETH_P_ARP]);
    const answer = new Uint8Array(ARP_FRAME_BYTES);
    writeArp(answer, 2, [peerAddress, peer], [ownAddress, own]);
    writeEthernet(answer, ownAddress, peerAddress, ETH_P_ARP);
    net.receive(answer);
    expect(net.sent.map(etherType)).toEqual([ETH_P_ARP, ETH_P_IP]);
  });

  it('that never answer are asked three times, and the sender is told', () => {
    const net = new Net();
    net.stack.datagrams.sendUdp(
      { ip: own, port: 53 },
      { ip: peer, port: 2 },
      Buffer.from('x'),
      defaultSendOptions,
    );
    for (let second = 0; second < 5; second += 1) {
      net.nowNs += 1.1e9;
      net.timers.runDue(net.nowNs);
    }
    expect(net.sent.length).toBe(3);
    expect(net.arrived).toEqual(['error -113']);
  });
});

describe('packets', () => {
  it('of echo requests are answered', () => {
    const net = new Net().knowPeer();
    net.receive(packet(1, echo(56)));
    const reply = parseIpv4(
      net.sent[0] as Uint8Array,
      NETWORK_AT,
      (net.sent[0] as Uint8Array).length,
    );
    expect([reply?.source, reply?.destination, reply?.protocol]).toEqual([own, peer, 1]);
    expect((net.sent[0] as Uint8Array)[reply?.payloadAt ?? 0]).toBe(0);
  });

  it('for others, from impossible senders and with wrong sums are dropped', () => {
    const net = new Net().knowPeer();
    net.receive(packet(1, echo(8), peer, '\x0a\x01\0\x03'));
    net.receive(packet(1, echo(8), '\x7f\0\0\x01'));
    net.receive(packet(1, echo(8), own));
    net.receive(packet(1, echo(8), '\xe0\0\0\x01'));
    const wrong = packet(17, datagram(53, 'x'));
    wrong[NETWORK_AT + 8] = 3;
    net.receive(wrong);
    expect([net.sent, net.arrived]).toEqual([[], []]);
  });

  it('reach the socket, or their sender is told that there is none', () => {
    const net = new Net().knowPeer();
    net.receive(packet(17, datagram(53, 'hello')));
    expect(net.arrived).toEqual(['hello']);
    net.receive(packet(17, datagram(54, 'hello')));
    const frame = net.sent[0] as Uint8Array;
    expect([frame[NETWORK_AT + IPV4_BYTES], frame[NETWORK_AT + IPV4_BYTES + 1]]).toEqual([3, 3]);
  });

  it('are put together from fragments in any order, and not where these overlap', () => {
    const whole = datagram(53, 'x'.repeat(1992));
    const part = (from: number, to: number, id: number): Uint8Array => {
      const frame = packet(17, whole.subarray(from, to));
      makeFragment4(frame, NETWORK_AT, to - from, { id, offset: from, hasMore: to < whole.length });
      return frame;
    };
    const net = new Net();
    net.receive(part(1600, 2000, 1));
    net.receive(part(0, 800, 1));
    net.receive(part(800, 1600, 1));
    expect(net.arrived.map(({ length }) => length)).toEqual([1992]);
    net.receive(part(0, 800, 2));
    net.receive(part(792, 1600, 2));
    net.receive(part(800, 1600, 2));
    net.receive(part(1600, 2000, 2));
    expect(net.arrived.length).toBe(1);
  });

  it('too long for the link are sent in fragments', () => {
    const net = new Net().knowPeer();
    net.stack.datagrams.sendUdp(
      { ip: own, port: 1 },
      { ip: peer, port: 2 },
      new Uint8Array(4000),
      defaultSendOptions,
    );
    const parts = net.sent.map((frame) => parseIpv4(frame, NETWORK_AT, frame.length));
    expect(parts.map((each) => each?.fragment?.offset)).toEqual([0, 1480, 2960]);
  });
});

describe('segments', () => {
  const listener = (accepted: Endpoint[]): Listener => ({
    key: {},
    acceptRoom: 100,
    backlog: 4,
    account: new MemoryAccount(),
    tuning: () => ({ ...defaultTuning }),
    accepted: (_connection, _local, remote) => {
      accepted.push(remote);
      return { changed: () => undefined, established: () => undefined, ended: () => undefined };
    },
  });

  it('for nobody are reset', () => {
    const net = new Net().knowPeer();
    net.receive(packet(6, segment(SYN)));
    const answer = tcpOf(net.sent[0] as Uint8Array);
    expect([answer.flags, answer.acknowledgement]).toEqual([RST | ACK, 1001]);
  });

  it('make connections at a listener', () => {
    const net = new Net().knowPeer();
    const accepted: Endpoint[] = [];
    net.listener = listener(accepted);
    net.receive(packet(6, segment(SYN)));
    const answer = tcpOf(net.sent[0] as Uint8Array);
    expect([answer.flags, answer.acknowledgement]).toEqual([SYN | ACK, 1001]);
    net.receive(packet(6, segment(ACK, { seq: 1001, ack: answer.sequence + 1 })));
    expect(accepted).toEqual([{ ip: peer, port: 4000 }]);
  });

  it('of a flood get cookies, by which honest peers still connect', () => {
    const net = new Net().knowPeer();
    const accepted: Endpoint[] = [];
    net.listener = listener(accepted);
    for (let port = 1; port <= 5000; port += 1) net.receive(packet(6, segment(SYN, { port })));
    const answer = tcpOf(net.sent.at(-1) as Uint8Array);
    expect(answer.flags).toBe(SYN | ACK);
    net.receive(packet(6, segment(ACK, { port: 5000, seq: 1001, ack: answer.sequence + 2 })));
    expect(accepted).toEqual([]);
    net.receive(packet(6, segment(ACK, { port: 5000, seq: 1001, ack: answer.sequence + 1 })));
    expect(accepted).toEqual([{ ip: peer, port: 5000 }]);
  });
});

describe('nonsense', () => {
  /** Named in the title of the case; another one is a matter of changing it. */
  const seed = 20_261_130;

  it(`by seed ${seed} neither throws nor takes memory without end`, () => {
    const random = generator(seed);
    const net = new Net().knowPeer();
    const connections = new MemoryAccount(undefined, { limitBytes: 8 << 20 });
    net.listener = {
      key: {},
      acceptRoom: 100,
      backlog: 64,
      account: connections,
      tuning: () => ({ ...defaultTuning }),
      accepted: () => ({
        changed: () => undefined,
        established: () => undefined,
        ended: () => undefined,
      }),
    };
    const models = [
      () => packet(1, echo(random(100))),
      () => packet(17, datagram(50 + random(6), 'x'.repeat(random(1400)))),
      () =>
        packet(
          6,
          segment(random(64), {
            seq: random(2) * 1001 + random(3),
            port: random(200),
            ack: random(0x7fff_ffff),
          }),
        ),
      () => {
        const frame = packet(17, datagram(53, 'y'.repeat(8 * random(100))));
        makeFragment4(frame, NETWORK_AT, frame.length - NETWORK_AT - IPV4_BYTES, {
          id: random(200),
          offset: 8 * random(3000),
          hasMore: random(4) > 0,
        });
        return frame;
      },
      () => {
        const frame = new Uint8Array(ARP_FRAME_BYTES);
        const ip = String.fromCharCode(10, 1, 0, random(256));
        writeArp(frame, 1 + random(2), [peerAddress, ip], [undefined, random(2) === 0 ? own : ip]);
        writeEthernet(frame, ownAddress, peerAddress, ETH_P_ARP);
        return frame;
      },
      () => {
        const frame = Uint8Array.from({ length: NETWORK_AT + random(200) }, () => random(256));
        writeEthernet(frame, ownAddress, peerAddress, random(2) === 0 ? ETH_P_IPV6 : ETH_P_IP);
        frame[NETWORK_AT] = random(2) === 0 ? 0x60 : 0x45;
        return frame;
      },
      () => {
        const length = random(120);
        const frame = new Uint8Array(NETWORK_AT + 40 + length);
        const options = { hopLimit: 255, trafficClass: 0, dontFragment: false };
        const next = [0, 6, 17, 43, 44, 58, 59, 60][random(8)] as number;
        writeHeader(
          frame,
          NETWORK_AT,
          [`\xfd${'\0'.repeat(14)}\x01`, own6],
          next,
          length,
          options,
          0,
        );
        for (let at = NETWORK_AT + 40; at < frame.length; at += 1)
          frame[at] = random(8) === 0 ? random(256) : random(3);
        writeEthernet(frame, ownAddress, peerAddress, ETH_P_IPV6);
        frame[0] = 1;
        return frame;
      },
    ];
    for (let count = 0; count < 60_000; count += 1) {
      const frame = (models[random(models.length)] as () => Uint8Array)();
      for (let flips = random(4); flips > 0; flips -= 1) {
        const at = NETWORK_AT + random(Math.max(1, frame.length - NETWORK_AT));
        if (at < frame.length) frame[at] = random(256);
        // The header's own sum is right again now and then, or nothing would get past it.
        if (etherType(frame) === ETH_P_IP && frame.length >= NETWORK_AT + 20 && random(2) === 0) {
          putU16(frame, NETWORK_AT + 10, 0);
          putU16(frame, NETWORK_AT + 10, checksum(frame, NETWORK_AT, NETWORK_AT + 20));
        }
      }
      net.receive(frame.slice(0, frame.length - (random(10) === 0 ? random(30) : 0)));
      if (count % 100 === 0) {
        net.nowNs += random(1000) * 1e6;
        net.timers.runDue(net.nowNs);
        net.sent.length = 0;
        net.arrived.length = 0;
      }
      expect(net.account.usedBytes).toBeLessThan(2 << 20);
    }
    expect([...net.stack.neighbours.all()].length).toBeLessThanOrEqual(1024);
    expect(connections.usedBytes).toBeLessThanOrEqual(8 << 20);
    // The rest of what was begun runs out.
    for (let minute = 0; minute < 400; minute += 1) {
      net.nowNs += 60e9;
      net.timers.runDue(net.nowNs);
    }
    net.stack.tcp.abandon();
    expect(connections.usedBytes).toBe(0);
  });
});
