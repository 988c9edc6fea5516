// SPDX-License-Identifier: Apache-2.0
// /proc/PID/{maps,smaps,smaps_rollup,numa_maps,cmdline,environ,auxv,mem}.

import { ESRCH, type Result } from '../../../abi/errno.ts';
import { PROT_EXEC, PROT_NONE, PROT_READ, PROT_WRITE } from '../../../abi/mman.ts';
import { PAGE_SIZE } from '../../../abi/page.ts';
import type { Task } from '../../kernel/task.ts';
import {
  describeMappings,
  formatMapping,
  formatMaps,
  type MappingDescription,
} from '../../mm/format-maps.ts';
import type { MemoryManager } from '../../mm/memory-manager.ts';
import { VMA_GROWSDOWN, VMA_LOCKED, VMA_NORESERVE } from '../../mm/vma.ts';
import type { Caller } from '../../vfs/caller.ts';
import type { OpenFile } from '../../vfs/open-file.ts';
import { pathText } from '../../vfs/path.ts';
import type { Text } from '../pseudo/entry.ts';
import { accountMemory } from './memory-account.ts';
import type { Subject } from './subject.ts';

/** The most of a command line or environment that is shown. */
const stringLimitBytes = 8 * 1024 * 1024;

/** Paths of mapped files as `caller` sees them from its root. */
function fileNames(caller: Caller): (file: OpenFile) => string {
  const { root } = (caller as Task).fs;
  return (file) => (file.path === undefined ? file.description : pathText(file.path, root));
}

export function renderMaps(subject: Subject, caller: Caller): Text {
  const task = subject.task;
  return task === undefined ? '' : formatMaps(task.mm, fileNames(caller));
}

const row = (name: string, bytes: number): string =>
  `${`${name}:`.padEnd(16)}${String(Math.floor(bytes / 1024)).padStart(8)} kB\n`;

/**
 * Differs from Linux: which pages are resident is the host's knowledge and told as one sum for the whole
 * process. Each mapping is given the same share of it.
 */
function residentShare(mm: MemoryManager): number {
  const account = accountMemory(mm);
  return account.totalBytes === 0 ? 0 : account.residentBytes / account.totalBytes;
}

interface PageCounts {
  readonly residentBytes: number;
  readonly privateBytes: number;
  readonly anonymousBytes: number;
}

function countPages(mapping: MappingDescription, share: number): PageCounts {
  const { vma } = mapping;
  if (vma.prot === PROT_NONE) return { residentBytes: 0, privateBytes: 0, anonymousBytes: 0 };
  const residentBytes = Math.floor(((mapping.end - mapping.start) * share) / PAGE_SIZE) * PAGE_SIZE;
  const dirty = !vma.isShared && (vma.prot & PROT_WRITE) !== 0;
  return {
    residentBytes,
    privateBytes: dirty ? residentBytes : 0,
    anonymousBytes: vma.isAnonymous || dirty ? residentBytes : 0,
  };
}

function pageRows(
  { residentBytes, privateBytes, anonymousBytes }: PageCounts,
  lockedBytes: number,
): string {
  return [
    row('Rss', residentBytes),
    row('Pss', residentBytes),
    row('Pss_Dirty', privateBytes),
    row('Shared_Clean', residentBytes - privateBytes),
    row('Shared_Dirty', 0),
    row('Private_Clean', 0),
    row('Private_Dirty', privateBytes),
    row('Referenced', residentBytes),
    row('Anonymous', anonymousBytes),
    ...[
      'KSM',
      'LazyFree',
      'AnonHugePages',
      'ShmemPmdMapped',
      'FilePmdMapped',
      'Shared_Hugetlb',
      'Private_Hugetlb',
      'Swap',
      'SwapPss',
    ].map((name) => row(name, 0)),
    row('Locked', lockedBytes),
  ].join('');
}

export function renderSmaps(subject: Subject, caller: Caller): Text {
  const mm = subject.task?.mm;
  return mm === undefined ? '' : smapsRecords(mm, caller);
}

function* smapsRecords(mm: MemoryManager, caller: Caller): IterableIterator<string> {
  const share = residentShare(mm);
  for (const mapping of describeMappings(mm, fileNames(caller))) {
    const locked = mapping.vma.isLocked ? mapping.end - mapping.start : 0;
    yield [
      `${formatMapping(mapping)}\n`,
      row('Size', mapping.end - mapping.start),
      row('KernelPageSize', PAGE_SIZE),
      row('MMUPageSize', PAGE_SIZE),
      pageRows(countPages(mapping, share), locked),
      'THPeligible:           0\n',
      `VmFlags: ${vmFlags(mapping)}\n`,
    ].join('');
  }
}

function vmFlags({ vma }: MappingDescription): string {
  const flags: [boolean, string][] = [
    [(vma.prot & PROT_READ) !== 0, 'rd'],
    [(vma.prot & PROT_WRITE) !== 0, 'wr'],
    [(vma.prot & PROT_EXEC) !== 0, 'ex'],
    [vma.isShared, 'sh'],
    [(vma.maxProt & PROT_READ) !== 0, 'mr'],
    [(vma.maxProt & PROT_WRITE) !== 0, 'mw'],
    [(vma.maxProt & PROT_EXEC) !== 0, 'me'],
    [vma.isShared, 'ms'],
    [(vma.flags & VMA_GROWSDOWN) !== 0, 'gd'],
    [(vma.flags & VMA_LOCKED) !== 0, 'lo'],
    [(vma.flags & VMA_NORESERVE) !== 0, 'nr'],
  ];
  return flags.map(([on, name]) => (on ? `${name} ` : '')).join('');
}

export function renderSmapsRollup(subject: Subject, caller: Caller): Result<Text> {
  const mm = subject.task?.mm;
  return mm === undefined ? ESRCH : rollUp(mm, caller);
}

/** One record, made of all mappings. */
function* rollUp(mm: MemoryManager, caller: Caller): IterableIterator<string> {
  const share = residentShare(mm);
  let first: MappingDescription | undefined;
  let end = 0;
  const sum = { residentBytes: 0, privateBytes: 0, anonymousBytes: 0 };
  for (const mapping of describeMappings(mm, fileNames(caller))) {
    first ??= mapping;
    end = mapping.end;
    const counts = countPages(mapping, share);
    sum.residentBytes += counts.residentBytes;
    sum.privateBytes += counts.privateBytes;
    sum.anonymousBytes += counts.anonymousBytes;
    yield '';
  }
  if (first === undefined) return;
  const range = `${first.start.toString(16).padStart(8, '0')}-${end.toString(16).padStart(8, '0')} ---p 00000000 00:00 0`;
  yield `${range.padEnd(73)}[rollup]\n${pageRows(sum, mm.map.lockedBytes)}`;
}

/** Guest memory [start, end) as far as it can be read, one char per byte. */
function readText(mm: MemoryManager, start: number, end: number): string {
  const length = Math.min(end - start, stringLimitBytes);
  if (length <= 0) return '';
  const bytes = new Uint8Array(length);
  const count = mm.memory.readSome(start, bytes);
  return count <= 0 ? '' : Buffer.from(bytes.buffer, 0, count).toString('latin1');
}

/**
 * A program that overwrote the NUL at the end of its arguments wrote a title: it goes on to its own
 * NUL, through the environment if need be (setproctitle(3)).
 */
export function renderCmdline(subject: Subject): string {
  const mm = subject.task?.mm;
  if (mm === undefined) return '';
  const { argStart, argEnd, envEnd } = mm.image;
  const args = readText(mm, argStart, argEnd);
  if (args === '' || args.endsWith('\0')) return args;
  const title = readText(mm, argStart, Math.max(argEnd, envEnd));
  const end = title.indexOf('\0');
  return end < 0 ? title : title.slice(0, end);
}

export function renderEnviron(subject: Subject): string {
  const mm = subject.task?.mm;
  return mm === undefined ? '' : readText(mm, mm.image.envStart, mm.image.envEnd);
}

export function renderAuxv(subject: Subject): string {
  const auxv = subject.task?.mm.image.auxv;
  return auxv === undefined ? '' : Buffer.from(auxv).toString('latin1');
}
