// SPDX-License-Identifier: Apache-2.0
// execve(2)'s loading: finds the program behind scripts, judges it, and builds its memory in a *fresh*
// address space, or in that of the program which it replaces. In a fresh one every failure before the
// end leaves the old program untouched: the caller only has to destroy the fresh space.
import {
  EFAULT,
  ELIBBAD,
  ELOOP,
  ENODEV,
  ENOEXEC,
  ENOMEM,
  type Errno,
  isErrno,
  type Result,
  type SysResult,
} from '../../abi/errno.ts';
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../../abi/mman.ts';
import {
  ADDR_COMPAT_LAYOUT,
  ADDR_NO_RANDOMIZE,
  MMAP_PAGE_ZERO,
  READ_IMPLIES_EXEC,
} from '../../abi/personality.ts';
import { RLIMIT_STACK } from '../../abi/resource.ts';
import type { ImageLayout } from '../mm/image-layout.ts';
import { type MemoryCaller, MemoryManager, type SharedMemorySource } from '../mm/memory-manager.ts';
import { FULL_PROT, VMA_GROWSDOWN, VMA_NORESERVE, VMA_STACK } from '../mm/vma.ts';
import { type GuestThread, REG, setRegister } from '../platform/guest-thread.ts';
import type { FreshAddressSpace } from '../platform/platform.ts';
import type { Credentials } from '../vfs/credentials.ts';
import { BufferSink } from '../vfs/io.ts';
import type { OpenFile } from '../vfs/open-file.ts';
import { type ElfImage, isElf, parseElf, type ReadAt } from './elf.ts';
import { HEAD_BYTES, isScript, parseInterpreterLine } from './interpreter-script.ts';
import { chooseLayout, type ProgramLayout } from './layout.ts';
import { PackedStrings } from './packed-strings.ts';
import { type LoadedSegments, mapSegments, type Tail } from './segments.ts';
import { buildStack, checkArgumentSize, type InitialStack } from './stack.ts';
import { mapVdso, type VdsoImage } from './vdso.ts';

/** Scripts whose interpreter is a script: Linux runs five levels. */
const SCRIPT_LEVELS = 5;
/** Linux's struct rt_sigframe and the red zone, on top of the FP state (get_sigframe_size). */
const SIGNAL_FRAME_BYTES = 1088;
const FLAGS_AT_START = 0x202;

/**
 * The credentials with which the program runs, once its file is known (set-user-ID and so on are
 * the caller's).
 */
export interface ProgramIdentity {
  readonly credentials: Credentials;
  /** AT_SECURE. */
  readonly secure: boolean;
  /** The caller may execute the program and not read it. */
  readonly unreadable: boolean;
}

/** PER_CLEAR_ON_SETID. */
const CLEARED_FOR_SET_ID = ADDR_NO_RANDOMIZE | ADDR_COMPAT_LAYOUT | MMAP_PAGE_ZERO;

/**
 * Returns the personality that is left to a 64-bit program, for which READ_IMPLIES_EXEC is never
 * inherited. One that gains rights is laid out as its caller cannot know.
 */
export function personalityAfter(personality: number, identity: ProgramIdentity): number {
  const inherited = personality & ~READ_IMPLIES_EXEC;
  return identity.secure ? inherited & ~CLEARED_FOR_SET_ID : inherited;
}

export interface LoadRequest {
  /** Opened for execution; the caller keeps its reference. */
  readonly file: OpenFile;
  /**
   * The path that was given to execve ('/dev/fd/N/...' for execveat): AT_EXECFN, and what a
   * script's interpreter gets.
   */
  readonly path: string;
  readonly argv: PackedStrings;
  readonly envp: PackedStrings;
  readonly fresh: FreshAddressSpace;
  /**
   * The program that runs in `fresh` up to now, and gives way to this one (loader/exec.ts says
   * when). Undefined where it is fresh indeed.
   */
  readonly replaced?: MemoryManager;
  readonly guestTop: number;
  readonly limits: { soft(resource: number): number };
  readonly sharedMemory: SharedMemorySource;
  readonly vdso: VdsoImage | undefined;
  /** AT_HWCAP and AT_HWCAP2 of the host. */
  readonly cpu: { readonly hwcap: number; readonly hwcap2: number };
  /** The flags of personality(2). */
  readonly personality: number;
  readonly randomFill: (bytes: Uint8Array) => void;
  /** Opens an interpreter for execution, with the checks that execve makes of a program. */
  readonly open: (path: string) => Result<OpenFile>;
  /** Asked once, for the file that is really run. */
  readonly identify: (executable: OpenFile) => Result<ProgramIdentity>;
}

export interface LoadedImage {
  /** Holds the executable (`mm.executable`). Release it to undo the load. */
  readonly mm: MemoryManager;
  readonly identity: ProgramIdentity;
}

/** One whose memory is laid out by operations that are still queued on the fresh thread. */
export interface LaidOutImage extends LoadedImage {
  /**
   * With what became of them. 0: the fresh thread is ready to run the program's first instruction;
   * else all is undone.
   */
  readonly finish: (flushed: SysResult) => SysResult;
}

/** All of it. */
export function loadProgram(request: LoadRequest): Result<LoadedImage> {
  const image = layOutProgram(request);
  if (isErrno(image)) return image;
  const { space, thread } = request.fresh;
  const finished = image.finish(space.flushOperations(thread));
  return isErrno(finished) ? finished : image;
}

/** Up to what the guest's own process has to do for it. */
export function layOutProgram(request: LoadRequest): Result<LaidOutImage> {
  const opened = openProgram(request);
  return isErrno(opened) ? opened : layOutOpened(request, opened);
}

/** A program that was found and judged. `layOutOpened` or `closeProgram` gives back what it holds. */
export interface OpenedProgram extends ParsedProgram {
  readonly found: FoundProgram;
  readonly identity: ProgramIdentity;
}

/** Everything that needs no address space. */
export function openProgram(request: Omit<LoadRequest, 'fresh'>): Result<OpenedProgram> {
  const argv = request.argv.count > 0 ? request.argv : PackedStrings.of(['']);
  const found = findProgram(request.file, request.path, argv, request.open);
  if (isErrno(found)) return found;
  const opened = judge(request, found);
  if (isErrno(opened)) found.file.release();
  return opened;
}

export function closeProgram({ found, interpreter }: OpenedProgram): void {
  found.file.release();
  interpreter?.file.release();
}

/** Closes the program in any case. */
export function layOutOpened(request: LoadRequest, opened: OpenedProgram): Result<LaidOutImage> {
  const image = build(request, opened.found, opened, opened.identity);
  closeProgram(opened);
  return image;
}

interface FoundProgram {
  /** Held. */
  readonly file: OpenFile;
  readonly argv: readonly PackedStrings[];
  readonly head: Uint8Array;
}

/** Follows "#!" lines to the program that is to be loaded. */
function findProgram(
  first: OpenFile,
  path: string,
  argv: PackedStrings,
  open: LoadRequest['open'],
): Result<FoundProgram> {
  let file = first;
  let filePath = path;
  let args = [argv];
  file.acquire();
  for (let level = 0; ; level += 1) {
    const head = readHead(file);
    if (isErrno(head)) return drop(file, head);
    if (!isScript(head)) return { file, argv: args, head };
    if (level >= SCRIPT_LEVELS) return drop(file, ELOOP);
    const line = parseInterpreterLine(head);
    if (isErrno(line)) return drop(file, line);
    const extra = line.argument === undefined ? [] : [line.argument];
    args = [PackedStrings.of([line.path, ...extra, filePath]), ...behindFirst(args)];
    filePath = line.path;
    const next = open(line.path);
    file.release();
    if (isErrno(next)) return next;
    next.acquire();
    file = next;
  }
}

function behindFirst([first, ...rest]: readonly PackedStrings[]): PackedStrings[] {
  return first === undefined ? [] : [first.behindFirst(), ...rest];
}

function drop(file: OpenFile, errno: Errno): Errno {
  file.release();
  return errno;
}

function readHead(file: OpenFile): Result<Uint8Array> {
  const head = new Uint8Array(HEAD_BYTES);
  const got = readerOf(file)(0, head);
  return isErrno(got) ? got : head.subarray(0, got);
}

function readerOf(file: OpenFile): ReadAt {
  return (position, dst) => {
    const sink = new BufferSink(dst);
    while (sink.remaining > 0) {
      const got = file.pread(sink, position + sink.filled);
      if (isErrno(got)) return got;
      if (got === 0) break;
    }
    return sink.filled;
  };
}

interface ParsedProgram {
  readonly elf: ElfImage;
  /** Held. */
  readonly interpreter: { readonly file: OpenFile; readonly elf: ElfImage } | undefined;
}

function parseProgram(
  request: Omit<LoadRequest, 'fresh'>,
  found: FoundProgram,
): Result<ParsedProgram> {
  const elf = parseElf(found.head, readerOf(found.file), request.guestTop);
  if (isErrno(elf)) return elf;
  if (elf.interpreter === undefined) return { elf, interpreter: undefined };
  const file = request.open(elf.interpreter);
  if (isErrno(file)) return file;
  file.acquire();
  const head = readHead(file);
  if (isErrno(head)) return drop(file, head);
  if (!isElf(head)) return drop(file, ELIBBAD);
  const parsed = parseElf(head, readerOf(file), request.guestTop);
  if (isErrno(parsed)) return drop(file, parsed === ENOEXEC ? ELIBBAD : parsed);
  return { elf, interpreter: { file, elf: parsed } };
}

function judge(request: Omit<LoadRequest, 'fresh'>, found: FoundProgram): Result<OpenedProgram> {
  const { limits } = request;
  const sizeError = checkArgumentSize(
    found.argv,
    request.envp,
    request.path,
    limits.soft(RLIMIT_STACK),
  );
  if (isErrno(sizeError)) return sizeError;
  const program = parseProgram(request, found);
  if (isErrno(program)) return program;
  const identity = request.identify(found.file);
  if (!isErrno(identity)) return { ...program, found, identity };
  program.interpreter?.file.release();
  return identity;
}

function build(
  request: LoadRequest,
  found: FoundProgram,
  program: ParsedProgram,
  identity: ProgramIdentity,
): Result<LaidOutImage> {
  const { fresh, limits, guestTop } = request;
  const random = numberSource(request.randomFill);
  const stackLimit = limits.soft(RLIMIT_STACK);
  const personality = personalityAfter(request.personality, identity);
  const layout = chooseLayout(guestTop, stackLimit, personality, random);
  const mm = new MemoryManager(fresh.space, layout.bounds, request.sharedMemory);
  // A new program's own mappings are no growth of the old one's: only its later calls meet the limits.
  const unlimited = { limits: { soft: () => Number.POSITIVE_INFINITY }, personality };
  const caller: MemoryCaller = {
    thread: fresh.thread,
    credentials: identity.credentials,
    group: unlimited,
  };
  const { replaced } = request;
  // What the old program has stays until nothing but the host can fail.
  if (replaced !== undefined) mm.map.hold();
  const finish = lay(request, found, program, identity, mm, caller, layout);
  if (isErrno(finish)) {
    mm.map.clear();
    return finish;
  }
  replaced?.map.queueEmptying(caller.thread);
  mm.map.letGo(caller.thread);
  mm.setExecutable(found.file);
  return {
    mm,
    identity,
    finish: (flushed) => {
      const error = isErrno(flushed) ? flushed : finish();
      if (!isErrno(error)) return 0;
      mm.map.clear();
      mm.executable?.release();
      mm.executable = undefined;
      return error;
    },
  };
}

/**
 * Everything that can fail, in Linux's order: segments, interpreter, vDSO, stack. What is to be
 * done then, or an errno.
 */
function lay(
  request: LoadRequest,
  found: FoundProgram,
  program: ParsedProgram,
  identity: ProgramIdentity,
  mm: MemoryManager,
  caller: MemoryCaller,
  layout: ProgramLayout,
): Errno | (() => SysResult) {
  const stackError = mapStack(mm, caller, layout, program.elf.executableStack);
  if (isErrno(stackError)) return stackError;
  const bias = program.interpreter === undefined ? undefined : layout.pieBase;
  const main = mapSegments(mm, caller, found.file, program.elf, bias);
  if (isErrno(main)) return main === ENODEV ? ENOEXEC : main;
  const linker = mapInterpreter(mm, caller, program);
  if (linker !== undefined && isErrno(linker)) return linker;
  const vdsoAddr = request.vdso === undefined ? 0 : mapVdso(mm, caller, request.vdso);
  if (isErrno(vdsoAddr)) return vdsoAddr;
  placeBreak(mm, program.elf, main, layout);

  const stack = initialStack(
    request,
    found,
    program.elf,
    identity,
    layout,
    main,
    linker?.bias ?? 0,
    vdsoAddr,
  );
  if (isErrno(stack)) return stack;
  if (stack.length > layout.stackReserveBytes) return ENOMEM;
  return () => {
    mm.begin(caller);
    const written = writeContents(mm, stack, [...main.tails, ...(linker?.tails ?? [])]);
    if (isErrno(written)) return written;
    describeImage(mm.image, main, stack);
    setRegisters(caller.thread, linker?.entry ?? main.entry, stack.stackPointer);
    return 0;
  };
}

function mapStack(
  mm: MemoryManager,
  caller: MemoryCaller,
  layout: ProgramLayout,
  executable: boolean,
): SysResult {
  const length = layout.stackReserveBytes;
  return mm.install(caller, {
    start: layout.stackTop - length,
    length,
    prot: PROT_READ | PROT_WRITE | (executable ? PROT_EXEC : 0),
    maxProt: FULL_PROT,
    flags: VMA_STACK | VMA_GROWSDOWN | VMA_NORESERVE,
    backing: undefined,
    offset: 0,
    populate: false,
  });
}

function mapInterpreter(
  mm: MemoryManager,
  caller: MemoryCaller,
  program: ParsedProgram,
): Result<LoadedSegments> | undefined {
  const { interpreter } = program;
  return interpreter === undefined
    ? undefined
    : mapSegments(mm, caller, interpreter.file, interpreter.elf, undefined);
}

function placeBreak(
  mm: MemoryManager,
  elf: ElfImage,
  main: LoadedSegments,
  layout: ProgramLayout,
): void {
  // A static PIE lies among the libraries: its heap goes where a PIE's would, with room to grow.
  const isStaticPie = elf.relocatable && elf.interpreter === undefined;
  const start = (isStaticPie ? layout.staticPieBreak : main.end) + layout.brkShift;
  mm.image.startBrk = start;
  mm.programBreak.end = start;
}

function initialStack(
  request: LoadRequest,
  found: FoundProgram,
  elf: ElfImage,
  identity: ProgramIdentity,
  layout: ProgramLayout,
  main: LoadedSegments,
  base: number,
  vdsoAddr: number,
): Result<InitialStack> {
  const { uid, euid, gid, egid } = identity.credentials;
  const random = new Uint8Array(16);
  request.randomFill(random);
  return buildStack({
    top: layout.stackTop,
    argv: found.argv,
    envp: request.envp,
    execfn: request.path,
    facts: {
      headersAddr: elf.headersAddr === 0 ? 0 : elf.headersAddr + main.bias,
      headerCount: elf.headerCount,
      base,
      entry: main.entry,
      ...{ uid, euid, gid, egid, secure: identity.secure },
      ...request.cpu,
      vdsoAddr,
      minSignalStackBytes: request.fresh.thread.fpStateBytes + SIGNAL_FRAME_BYTES,
    },
    random,
    shiftBytes: layout.stackShift,
  });
}

/**
 * Writes the content that cannot be mapped: the zeroes behind the file's bytes in a segment's last
 * page, and the stack.
 */
function writeContents(mm: MemoryManager, stack: InitialStack, tails: readonly Tail[]): SysResult {
  for (const { addr, length, writable } of tails) {
    const zeroed = mm.memory.zero(addr, length);
    if (isErrno(zeroed) && writable) return EFAULT;
  }
  let written = mm.memory.write(stack.stackPointer, stack.low);
  let at = stack.argStart;
  for (const part of stack.high) {
    if (isErrno(written)) break;
    if (part.length > 0) written = mm.memory.write(at, part);
    at += part.length;
  }
  return written;
}

function describeImage(image: ImageLayout, main: LoadedSegments, stack: InitialStack): void {
  image.startCode = main.startCode;
  image.endCode = main.endCode;
  image.startData = main.startData;
  image.endData = main.endData;
  image.startStack = stack.stackPointer;
  image.argStart = stack.argStart;
  image.argEnd = stack.argEnd;
  image.envStart = stack.envStart;
  image.envEnd = stack.envEnd;
  image.auxv = stack.auxv;
}

function setRegisters(thread: GuestThread, entry: number, stackPointer: number): void {
  const registers = thread.registers();
  registers.fill(0);
  setRegister(registers, REG.rip, entry);
  setRegister(registers, REG.rsp, stackPointer);
  setRegister(registers, REG.eflags, FLAGS_AT_START);
  thread.registersChanged();
}

/** Numbers below 2^32 drawn from `fill`, some at a time: each is a call to the host. */
function numberSource(randomFill: (bytes: Uint8Array) => void): (below: number) => number {
  const words = new Uint32Array(8);
  let next = words.length;
  return (below) => {
    if (next === words.length) {
      randomFill(new Uint8Array(words.buffer));
      next = 0;
    }
    const word = words[next] as number;
    next += 1;
    return word % below;
  };
}
