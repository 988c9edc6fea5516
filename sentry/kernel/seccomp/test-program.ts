// SPDX-License-Identifier: Apache-2.0
// Programs and calls for the tests of this folder.

/** code, k, jt, jf */
export type Step = readonly [code: number, k: number, jt?: number, jf?: number];

export const RET_ALLOW: Step = [0x06, 0x7fff0000];

export function program(...steps: Step[]): Uint8Array {
  const bytes = new Uint8Array(8 * steps.length);
  const view = new DataView(bytes.buffer);
  steps.forEach(([code, k, jt = 0, jf = 0], index) => {
    view.setUint16(8 * index, code, true);
    view.setUint8(8 * index + 2, jt);
    view.setUint8(8 * index + 3, jf);
    view.setUint32(8 * index + 4, k, true);
  });
  return bytes;
}

/** The words of a call as SyscallArgs has them. */
export function callWords(number: number, args: readonly bigint[] = []): Uint32Array {
  const words = new Uint32Array(14);
  words[0] = number;
  args.forEach((value, index) => {
    words[2 * index + 2] = Number(value & 0xffffffffn);
    words[2 * index + 3] = Number(value >> 32n);
  });
  return words;
}
