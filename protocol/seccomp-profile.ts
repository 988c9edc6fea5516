// SPDX-License-Identifier: Apache-2.0
// A container's seccomp profile: `linux.seccomp` of an OCI config.json, as the configuration of a
// sandbox carries it.
// https://github.com/opencontainers/runtime-spec/blob/v1.2.0/config-linux.md#seccomp

/** An unsigned 64-bit number: a decimal text where a number would not be exact. */
export type WideNumber = number | string;

export interface SeccompProfile {
  /** SCMP_ACT_*. */
  readonly defaultAction: string;
  /** For SCMP_ACT_ERRNO and SCMP_ACT_TRACE; EPERM where it is absent. */
  readonly defaultErrnoRet?: number;
  /** SCMP_ARCH_*. x86-64 is filtered whether it is named or not. */
  readonly architectures?: readonly string[];
  /** SECCOMP_FILTER_FLAG_*. */
  readonly flags?: readonly string[];
  readonly syscalls?: readonly SeccompProfileRule[];
}

export interface SeccompProfileRule {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  /** All must hold; but where two are about one argument, each is a rule of its own (as runc has it). */
  readonly args?: readonly SeccompProfileArgument[];
}

export interface SeccompProfileArgument {
  readonly index: number;
  /** The mask of SCMP_CMP_MASKED_EQ. */
  readonly value: WideNumber;
  /** The value that the masked argument must equal. */
  readonly valueTwo?: WideNumber;
  /** SCMP_CMP_*. */
  readonly op: string;
}
