// SPDX-License-Identifier: Apache-2.0
// Types of native/addon/program.c. Every call answers >= 0 or -errno.
import type { SysResult } from '../../abi/errno.ts';

export interface ProgramCalls {
  /**
   * Runs a program of the host to its end, with no descriptors but `input` and pipes for its
   * output. `words` are its arguments and `environment` its variables, each ended by a 0. Its wait
   * status in out[0]; the beginning of what it wrote to standard output and error in the two halves
   * of `said`, with the lengths in out[1] and out[2]. -ETIMEDOUT: it was killed after `timeoutMs`
   * (negative: never); other errors: it was not started.
   */
  runProgram(
    path: string,
    words: Uint8Array,
    environment: Uint8Array,
    directory: string,
    input: number,
    timeoutMs: number,
    said: Uint8Array,
    out: Int32Array,
  ): SysResult;
}
