// SPDX-License-Identifier: Apache-2.0
/** A container's seccomp profile cannot be had; the message is for whoever wrote it. */
export class SeccompProfileError extends Error {}
