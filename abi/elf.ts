// SPDX-License-Identifier: Apache-2.0
// include/uapi/linux/elf.h, elf-em.h: 64-bit x86 executables.
export const EI_CLASS = 4;
export const EI_DATA = 5;
export const ELFCLASS64 = 2;
export const ELFDATA2LSB = 1;

export const ET_EXEC = 2;
export const ET_DYN = 3;
export const EM_X86_64 = 62;

export const PT_LOAD = 1;
export const PT_INTERP = 3;
export const PT_GNU_STACK = 0x6474e551;
export const PT_GNU_PROPERTY = 0x6474e553;

export const PF_X = 1;
export const PF_W = 2;
export const PF_R = 4;

/** Offsets of the fields of Elf64_Ehdr. */
export const elfHeader = {
  size: 64,
  type: 16,
  machine: 18,
  version: 20,
  entry: 24,
  phoff: 32,
  phentsize: 54,
  phnum: 56,
} as const;

/** Offsets of the fields of Elf64_Phdr. */
export const programHeader = {
  size: 56,
  type: 0,
  flags: 4,
  offset: 8,
  vaddr: 16,
  paddr: 24,
  filesz: 32,
  memsz: 40,
  align: 48,
} as const;
