// SPDX-License-Identifier: Apache-2.0
// The floating point and vector state of a stopped tracee. Only the thread itself can store and load
// it, to and from guest memory: for a moment the state lies below the thread's stack, whose bytes
// there are put back afterwards.
import { EIO, isErrno, type Result, type SysResult } from '../../../abi/errno.ts';
import { FPREGS_BYTES } from '../../../abi/ptrace.ts';
import type { Blocking } from '../../base/wait.ts';
import { OneShot } from '../one-shot.ts';
import type { Task } from '../task.ts';

/** Bytes below the stack pointer that leaf functions may use. */
const RED_ZONE_BYTES = 128;
/** The software part of the FXSAVE area: in a signal frame magic numbers, for ptrace XCR0. */
const SOFTWARE_AT = 464;
const FEATURES_AT = 472;
const MAGIC_BYTES = 4;

/** Returns the state as the register set NT_X86_XSTATE has it; its first FPREGS_BYTES are NT_PRFPREG. */
export function* readFpState(tracee: Task): Blocking<Result<Uint8Array>> {
  const frame = yield* withScratch(tracee, function* (addr, bytes) {
    tracee.thread.queueSaveFpState(addr);
    const flushed = yield* flush(tracee);
    if (isErrno(flushed)) return flushed;
    return tracee.memory.read(addr, bytes);
  });
  if (isErrno(frame)) return frame;
  const state = frame.slice(0, frame.length - MAGIC_BYTES);
  const features = state.slice(FEATURES_AT, FEATURES_AT + 8);
  state.fill(0, SOFTWARE_AT, FPREGS_BYTES);
  state.set(features, SOFTWARE_AT);
  return state;
}

/** Loads a state that is as long as what readFpState() returns, or just the first FPREGS_BYTES of one. */
export function* writeFpState(tracee: Task, state: Uint8Array): Blocking<SysResult> {
  const done = yield* withScratch(tracee, function* (addr, bytes) {
    tracee.thread.queueSaveFpState(addr);
    const saved = yield* flush(tracee);
    if (isErrno(saved)) return saved;
    const read = tracee.memory.read(addr, bytes);
    if (isErrno(read)) return read;
    bytes.set(state.subarray(0, SOFTWARE_AT));
    if (state.length > FPREGS_BYTES)
      bytes.set(state.subarray(FPREGS_BYTES, bytes.length - MAGIC_BYTES), FPREGS_BYTES);
    const written = tracee.memory.write(addr, bytes);
    if (isErrno(written)) return written;
    tracee.thread.queueLoadFpState(addr);
    return yield* flush(tracee);
  });
  return isErrno(done) ? done : 0;
}

/** Lends `use` guest memory below the stack. Returns the buffer that `use` filled. */
function* withScratch(
  tracee: Task,
  use: (addr: number, bytes: Uint8Array) => Blocking<SysResult>,
): Blocking<Result<Uint8Array>> {
  const length = tracee.thread.fpStateBytes;
  const below = tracee.stackPointer - RED_ZONE_BYTES - length;
  const addr = below - (below % 64);
  const before = new Uint8Array(length);
  const bytes = new Uint8Array(length);
  if (addr <= 0 || isErrno(tracee.memory.read(addr, before))) return EIO;
  const used = yield* use(addr, bytes);
  if (tracee.isDead) return EIO;
  tracee.memory.write(addr, before);
  return isErrno(used) ? EIO : bytes;
}

/** Has the stopped tracee do what is queued for it, after what it may be at by way of /proc/PID/mem. */
export function* flush(tracee: Task): Blocking<SysResult> {
  while (tracee.thread.isAtWork) {
    const free = new OneShot<true>();
    tracee.thread.whenFree(() => free.set(true));
    yield* free.wait();
    if (tracee.isDead) return EIO;
  }
  const done = new OneShot<SysResult>();
  const now = tracee.mm.space.tryFlush(tracee.thread, (late) => done.set(late));
  return now ?? (yield* done.wait());
}
