// SPDX-License-Identifier: Apache-2.0
// Which sockets a request of inet_diag wants to hear of (INET_DIAG_REQ_BYTECODE; inet_diag_bc_run
// of net/ipv4/inet_diag.c): `ss 'dport = :80'` counts on it. Run here, so that no program of a
// guest's reaches the host.
import { AF_INET, AF_INET6, AF_UNSPEC } from '../../../abi/socket.ts';

/** enum of linux/inet_diag.h. */
const JMP = 1;
const S_GE = 2;
const S_LE = 3;
const D_GE = 4;
const D_LE = 5;
const AUTO = 6;
const S_COND = 7;
const D_COND = 8;
const DEV_COND = 9;
const MARK_COND = 10;
const S_EQ = 11;
const D_EQ = 12;

/** struct inet_diag_bc_op: u8 code, u8 yes, u16 no. */
const opBytes = 4;
/** struct inet_diag_msg, so far as filters look: family, ports, addresses, device. */
const entry = {
  family: 0,
  sourcePort: 4,
  targetPort: 6,
  source: 8,
  target: 24,
  device: 40,
} as const;
const entryBytes = 44;

/**
 * Whether the program accepts the socket that `body` (struct inet_diag_msg) tells of. One that
 * makes no sense does not.
 */
export function diagFilterAccepts(program: Uint8Array, body: Uint8Array): boolean {
  if (body.length < entryBytes) return false;
  const code = viewOf(program);
  const socket = viewOf(body);
  let at = 0;
  while (at + opBytes <= program.length) {
    const step = holds(code, at, socket) ? code.getUint8(at + 1) : code.getUint16(at + 2, true);
    // Only forward: it ends.
    if (step === 0) return false;
    at += step;
  }
  return at === program.length;
}

function holds(code: DataView, at: number, socket: DataView): boolean {
  const sourcePort = socket.getUint16(entry.sourcePort);
  const targetPort = socket.getUint16(entry.targetPort);
  // The operand of the comparisons with a port is the `no` of the next operation.
  const operand = at + 2 * opBytes <= code.byteLength ? code.getUint16(at + opBytes + 2, true) : -1;
  switch (code.getUint8(at)) {
    case JMP:
    case AUTO: // Whether its port was chosen for it is not told.
      return false;
    case S_GE:
      return sourcePort >= operand;
    case S_LE:
      return sourcePort <= operand;
    case S_EQ:
      return sourcePort === operand;
    case D_GE:
      return targetPort >= operand;
    case D_LE:
      return targetPort <= operand;
    case D_EQ:
      return targetPort === operand;
    case S_COND:
      return isAt(code, at + opBytes, socket, entry.source, sourcePort);
    case D_COND:
      return isAt(code, at + opBytes, socket, entry.target, targetPort);
    case DEV_COND:
      return u32At(code, at + opBytes) === socket.getUint32(entry.device, true);
    case MARK_COND: // Without a mark.
      return u32At(code, at + opBytes) === 0;
    default:
      return true;
  }
}

/** struct inet_diag_hostcond: u8 family, u8 prefix length, i32 port (-1: any), address. */
function isAt(
  code: DataView,
  at: number,
  socket: DataView,
  addressAt: number,
  port: number,
): boolean {
  if (at + 8 > code.byteLength) return false;
  const family = code.getUint8(at);
  const prefixBits = code.getUint8(at + 1);
  const wantedPort = code.getInt32(at + 4, true);
  if (wantedPort !== -1 && wantedPort !== port) return false;
  const ownFamily = socket.getUint8(entry.family);
  if (family === AF_UNSPEC || family === ownFamily)
    return prefixBits === 0 || matches(code, at + 8, socket, addressAt, prefixBits);
  // An IPv4 address in an IPv6 socket.
  const isMapped =
    socket.getUint32(addressAt) === 0 &&
    socket.getUint32(addressAt + 4) === 0 &&
    socket.getUint32(addressAt + 8) === 0xffff;
  if (ownFamily !== AF_INET6 || family !== AF_INET || !isMapped) return false;
  return matches(code, at + 8, socket, addressAt + 12, prefixBits);
}

function matches(
  code: DataView,
  wantedAt: number,
  socket: DataView,
  addressAt: number,
  bits: number,
): boolean {
  if (bits > 128 || wantedAt + Math.ceil(bits / 8) > code.byteLength) return false;
  for (let bit = 0; bit < bits; bit += 8) {
    const mask = bits - bit >= 8 ? 0xff : (0xff00 >> (bits - bit)) & 0xff;
    const own = socket.getUint8(addressAt + bit / 8);
    if (((own ^ code.getUint8(wantedAt + bit / 8)) & mask) !== 0) return false;
  }
  return true;
}

function u32At(view: DataView, at: number): number {
  return at + 4 <= view.byteLength ? view.getUint32(at, true) : -1;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
