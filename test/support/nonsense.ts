// SPDX-License-Identifier: Apache-2.0
// What both sides of the Gofer's protocol are sent by their hostile tests.

/** Names that are entries below an attach point in the first row, and names that lead out or are none. */
export const names: readonly string[] = [
  ['file', 'a', 'b', 'out', 'root', 'new', 'x', 'y'],
  ['', '.', '..', '/', 'a/b', '../outside', 'out/secret', 'a/../../outside', '/etc/passwd'],
  ['\0', 'file\0', 'user.x', 'security.capability', 'user.runts.node', 'n'.repeat(300)],
].flat();
