// SPDX-License-Identifier: Apache-2.0
/** Thrown: no guest can cause it but by killing the Gofer, and nothing can go on after it. */
export class GoferDied extends Error {
  constructor(reason: string) {
    super(`gofer died: ${reason}`);
    this.name = 'GoferDied';
  }
}
