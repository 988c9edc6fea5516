// SPDX-License-Identifier: Apache-2.0
// What the kernel would answer to a system call under a compiled filter.
export interface Call {
  readonly nr: number;
  readonly arch?: number;
  readonly ip?: number;
  readonly args?: readonly number[];
}

const X86_64 = 0xc000003e;

/** A tiny interpreter of the opcodes that the compiler emits: a SECCOMP_RET_* value. */
export function runFilter(program: Uint8Array, call: Call): number {
  const view = new DataView(program.buffer);
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, call.nr, true);
  data.setUint32(4, call.arch ?? X86_64, true);
  const put = (at: number, value: number): void => {
    data.setUint32(at, value % 2 ** 32, true);
    data.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
  };
  put(8, call.ip ?? 0);
  (call.args ?? []).forEach((value, index) => {
    put(16 + index * 8, value);
  });
  let accumulator = 0;
  for (let pc = 0; pc < program.length / 8; pc++) {
    const code = view.getUint16(pc * 8, true);
    const jt = view.getUint8(pc * 8 + 2);
    const jf = view.getUint8(pc * 8 + 3);
    const k = view.getUint32(pc * 8 + 4, true);
    if (code === 0x20) accumulator = data.getUint32(k, true);
    else if (code === 0x54) accumulator = (accumulator & k) >>> 0;
    else if (code === 0x06) return k;
    else if (code === 0x05) pc += k;
    else if (code === 0x15) pc += accumulator === k ? jt : jf;
    else if (code === 0x25) pc += accumulator > k ? jt : jf;
    else if (code === 0x35) pc += accumulator >= k ? jt : jf;
    else if (code === 0x45) pc += (accumulator & k) !== 0 ? jt : jf;
    else throw new Error(`opcode ${code}`);
  }
  throw new Error('fell off the end');
}
