// SPDX-License-Identifier: Apache-2.0
// A sandbox that cannot start, in words for the user (a byte string) and with the shell's exit code.
export class BootFailure extends Error {
  readonly code: number;

  constructor(text: string, code = 125) {
    super(text);
    this.code = code;
  }
}
