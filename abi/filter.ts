// SPDX-License-Identifier: Apache-2.0
// Classic BPF: include/uapi/linux/{bpf_common,filter}.h. Whole opcodes, as they stand in a program.

// BPF_CLASS(): the low three bits of an opcode. BPF_ST and BPF_STX, whole opcodes too, are below.
export const BPF_LD = 0x00;
export const BPF_LDX = 0x01;
export const BPF_ALU = 0x04;
export const BPF_JMP = 0x05;
export const BPF_RET = 0x06;
/** BPF_SRC(): the operand is the register X. */
export const BPF_X = 0x08;

export const BPF_LD_W_ABS = 0x20;
export const BPF_LD_W_LEN = 0x80;
export const BPF_LD_IMM = 0x00;
export const BPF_LD_MEM = 0x60;
export const BPF_LDX_IMM = 0x01;
export const BPF_LDX_MEM = 0x61;
export const BPF_LDX_W_LEN = 0x81;
export const BPF_ST = 0x02;
export const BPF_STX = 0x03;
export const BPF_TAX = 0x07;
export const BPF_TXA = 0x87;
export const BPF_RET_K = 0x06;
export const BPF_RET_A = 0x16;

export const BPF_ADD_K = 0x04;
export const BPF_ADD_X = 0x0c;
export const BPF_SUB_K = 0x14;
export const BPF_SUB_X = 0x1c;
export const BPF_MUL_K = 0x24;
export const BPF_MUL_X = 0x2c;
export const BPF_DIV_K = 0x34;
export const BPF_DIV_X = 0x3c;
export const BPF_OR_K = 0x44;
export const BPF_OR_X = 0x4c;
export const BPF_AND_K = 0x54;
export const BPF_AND_X = 0x5c;
export const BPF_LSH_K = 0x64;
export const BPF_LSH_X = 0x6c;
export const BPF_RSH_K = 0x74;
export const BPF_RSH_X = 0x7c;
export const BPF_NEG = 0x84;
export const BPF_XOR_K = 0xa4;
export const BPF_XOR_X = 0xac;

export const BPF_JA = 0x05;
export const BPF_JEQ_K = 0x15;
export const BPF_JEQ_X = 0x1d;
export const BPF_JGT_K = 0x25;
export const BPF_JGT_X = 0x2d;
export const BPF_JGE_K = 0x35;
export const BPF_JGE_X = 0x3d;
export const BPF_JSET_K = 0x45;
export const BPF_JSET_X = 0x4d;

export const BPF_MAXINSNS = 4096;
/** Words of scratch memory. */
export const BPF_MEMWORDS = 16;

/** struct sock_filter: u16 code, u8 jt, u8 jf, u32 k. */
export const sockFilter = { code: 0, jt: 2, jf: 3, k: 4, size: 8 } as const;
/** struct sock_fprog: u16 len, pointer to the instructions. */
export const sockFprog = { len: 0, filter: 8, size: 16 } as const;
