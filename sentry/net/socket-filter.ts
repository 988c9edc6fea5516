// SPDX-License-Identifier: Apache-2.0
// Classic BPF of SO_ATTACH_FILTER (socket(7), Documentation/networking/filter.rst): a program that says of
// each packet how many of its bytes a socket gets, 0 for none. Programs only jump forward, so that they
// end; they are checked as bpf_check_classic does.
import { EINVAL, type Result } from '../../abi/errno.ts';

const MOST_INSTRUCTIONS = 4096;
const SCRATCH_WORDS = 16;
/** Offsets from here on are no packet bytes (SKF_AD_OFF). */
const ANCILLARY = -0x1000;

interface Instruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

export type SocketFilter = readonly Instruction[];

const plainCodes: ReadonlySet<number> = new Set([
  // Loads of words, half words and bytes: absolute, indexed; immediate, memory, length, header.
  0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x00, 0x60, 0x80, 0x01, 0x61, 0x81, 0xb1,
  // Stores, returns, transfers.
  0x02, 0x03, 0x06, 0x16, 0x07, 0x87,
  // Arithmetic with a constant and with X, and negation.
  0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3c, 0x94, 0x9c, 0x44, 0x4c, 0x54, 0x5c, 0xa4, 0xac,
  0x64, 0x6c, 0x74, 0x7c, 0x84,
  // Jumps.
  0x05, 0x15, 0x1d, 0x25, 0x2d, 0x35, 0x3d, 0x45, 0x4d,
]);

/** The program of struct sock_filter instructions, or EINVAL. */
export function parseFilter(bytes: Uint8Array): Result<SocketFilter> {
  const count = bytes.length / 8;
  if (!Number.isInteger(count) || count === 0 || count > MOST_INSTRUCTIONS) return EINVAL;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const program: Instruction[] = [];
  for (let at = 0; at < bytes.length; at += 8)
    program.push({
      code: view.getUint16(at, true),
      jt: view.getUint8(at + 2),
      jf: view.getUint8(at + 3),
      k: view.getUint32(at + 4, true),
    });
  if (!program.every((instruction, at) => isSound(instruction, at, count))) return EINVAL;
  const last = program[count - 1]?.code ?? 0;
  return (last & 7) === 6 ? program : EINVAL;
}

function isSound({ code, jt, jf, k }: Instruction, at: number, count: number): boolean {
  if (!plainCodes.has(code)) return false;
  if ((code === 0x34 || code === 0x94) && k === 0) return false;
  if ((code === 0x64 || code === 0x74) && k >= 32) return false;
  const usesScratch = code === 0x60 || code === 0x61 || code === 0x02 || code === 0x03;
  if (usesScratch && k >= SCRATCH_WORDS) return false;
  if (code === 0x05) return k < count - at - 1;
  return (code & 7) !== 5 || (at + jt + 1 < count && at + jf + 1 < count);
}

/** The registers of a run. */
class Machine {
  a = 0;
  x = 0;
  readonly scratch = new Uint32Array(SCRATCH_WORDS);
}

/** How many bytes of the packet the filter lets through. */
export function runFilter(program: SocketFilter, packet: Uint8Array): number {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const machine = new Machine();
  let at = 0;
  for (;;) {
    const step = program[at] as Instruction;
    at += 1;
    const kind = step.code & 7;
    if (kind === 6) return step.code === 0x16 ? machine.a : step.k;
    if (kind === 5) at += jump(step, machine);
    else if (kind === 4) {
      const value = arithmetic(step.code, machine.a, (step.code & 8) === 0 ? step.k : machine.x);
      if (value === undefined) return 0;
      machine.a = value >>> 0;
    } else if (!move(step, machine, view)) return 0;
  }
}

function jump({ code, jt, jf, k }: Instruction, { a, x }: Machine): number {
  if (code === 0x05) return k;
  const other = (code & 8) === 0 ? k : x;
  const kind = code & 0xf0;
  const holds =
    kind === 0x10
      ? a === other
      : kind === 0x20
        ? a > other
        : kind === 0x30
          ? a >= other
          : (a & other) !== 0;
  return holds ? jt : jf;
}

function arithmetic(code: number, a: number, other: number): number | undefined {
  switch (code & 0xf0) {
    case 0x00:
      return a + other;
    case 0x10:
      return a - other;
    case 0x20:
      return Math.imul(a, other);
    case 0x30:
      return other === 0 ? undefined : Math.floor(a / other);
    case 0x90:
      return other === 0 ? undefined : a % other;
    case 0x40:
      return a | other;
    case 0x50:
      return a & other;
    case 0xa0:
      return a ^ other;
    case 0x60:
      return a << (other & 31);
    case 0x70:
      return a >>> (other & 31);
    default:
      return -a;
  }
}

/** Loads, stores and transfers. False: outside of the packet, where the filter ends with 0. */
function move({ code, k }: Instruction, machine: Machine, view: DataView): boolean {
  const { scratch } = machine;
  switch (code) {
    case 0x00:
      machine.a = k;
      return true;
    case 0x01:
      machine.x = k;
      return true;
    case 0x60:
      machine.a = scratch[k] as number;
      return true;
    case 0x61:
      machine.x = scratch[k] as number;
      return true;
    case 0x80:
      machine.a = view.byteLength;
      return true;
    case 0x81:
      machine.x = view.byteLength;
      return true;
    case 0x02:
      scratch[k] = machine.a;
      return true;
    case 0x03:
      scratch[k] = machine.x;
      return true;
    case 0x07:
      machine.x = machine.a;
      return true;
    case 0x87:
      machine.a = machine.x;
      return true;
    case 0xb1:
      if (k >= view.byteLength) return false;
      machine.x = (view.getUint8(k) & 15) * 4;
      return true;
    default:
      return load(code, k, machine, view);
  }
}

function load(code: number, k: number, machine: Machine, view: DataView): boolean {
  const isIndexed = (code & 0xe0) === 0x40;
  const at = isIndexed ? (k + machine.x) | 0 : k | 0;
  // What the kernel knows beside the packet (protocol, interface, mark) is 0 here.
  if (at < 0) {
    machine.a = 0;
    return at >= ANCILLARY;
  }
  const bytes = (code & 0x18) === 0 ? 4 : (code & 0x18) === 8 ? 2 : 1;
  if (at + bytes > view.byteLength) return false;
  machine.a =
    bytes === 4 ? view.getUint32(at) : bytes === 2 ? view.getUint16(at) : view.getUint8(at);
  return true;
}
