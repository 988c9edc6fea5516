// SPDX-License-Identifier: Apache-2.0
// The start of the zygote: its first message, which says where the stub shall lie, under which
// filter, and with which mailbox.
import { EIO, isErrno, type SysResult } from '../../abi/errno.ts';
import { native } from '../../native/addon.ts';
import { compileFilter } from '../../native/seccomp/bpf.ts';
import {
  STUB_MAGIC_HIGH,
  STUB_MAGIC_LOW,
  STUB_RANGE_BYTES,
  STUB_TEXT_BYTES,
  WAY,
  ZYGOTE_INIT_BYTES,
} from '../../protocol/mailbox.ts';
import type { Trap } from '../trap.ts';

/**
 * The first address that guests may not map. Stubs lie above it. It is as high as leaves room for a
 * random place, since programs rely on where Linux puts things: ThreadSanitizer wants libraries
 * above 0x7e8000000000, a TiB of random places and all that may lie between them and the top.
 */
export const GUEST_TOP = 0x7fc000000000;
/**
 * The end of the range for stubs, below the highest places of the zygote's own stack, and of its
 * vDSO where Linux puts the vDSO above the stack.
 */
const STUB_TOP = 0x7ffb00000000;
const PLACE_BYTES = 0x10000;
const TWO_32 = 0x100000000;
/** struct sock_filter. */
const INSTRUCTION_BYTES = 8;

/** Returns a random address for the stub's range, 64 KiB aligned. */
export function randomStubBase(): number {
  const random = new Uint32Array(1);
  native.getRandom(new Uint8Array(random.buffer));
  const places = (STUB_TOP - GUEST_TOP - STUB_RANGE_BYTES) / PLACE_BYTES;
  return stubBaseAt((random[0] as number) % places);
}

/**
 * Returns an address at which the stub's text does not cross a 4 GiB border: the filter compares
 * the upper half of addresses once.
 */
export function stubBaseAt(place: number): number {
  const base = GUEST_TOP + place * PLACE_BYTES;
  const end = base + STUB_TEXT_BYTES;
  const fits = Math.floor(base / TWO_32) === Math.floor(end / TWO_32);
  return fits ? base : base - Math.ceil((STUB_TEXT_BYTES + 1) / PLACE_BYTES) * PLACE_BYTES;
}

/** Sends the zygote its first message, about the traps that it may use. Returns 0 or an errno. */
export function sendInit(
  socketFd: number,
  traps: readonly Trap[],
  stubBase: number,
  mailboxFd: number,
): SysResult {
  const byStub = traps.find((trap) => trap.tracerFilter === undefined);
  const byTracer = traps.find((trap) => trap.tracerFilter !== undefined);
  const filters = [
    byStub?.processFilter(stubBase),
    byTracer?.processFilter(stubBase),
    byTracer?.tracerFilter,
  ].map((spec) => (spec === undefined ? new Uint8Array(0) : compileFilter(spec)));
  const ways = (byStub ? WAY.signals : 0) | (byTracer ? WAY.tracer : 0);
  const head = new Uint8Array(ZYGOTE_INIT_BYTES);
  const view = new DataView(head.buffer);
  view.setUint32(0, STUB_MAGIC_LOW, true);
  view.setUint32(4, STUB_MAGIC_HIGH, true);
  view.setUint32(8, stubBase % TWO_32, true);
  view.setUint32(12, Math.floor(stubBase / TWO_32), true);
  for (const [i, filter] of filters.entries())
    view.setUint32(16 + 4 * i, filter.length / INSTRUCTION_BYTES, true);
  view.setUint32(28, ways, true);
  const message = Buffer.concat([head, ...filters]);
  const sent = native.sendMessage(
    socketFd,
    message,
    message.length,
    Int32Array.of(mailboxFd),
    1,
    0,
  );
  if (isErrno(sent)) return sent;
  return sent === message.length ? 0 : EIO;
}

export interface ZygoteFds {
  readonly zygoteSocketFd: number;
  readonly wakeEventFd: number;
  readonly globalPageFd: number;
}
