// SPDX-License-Identifier: Apache-2.0
// A text of a document, inside a message.
const LONGEST_SHOWN = 80;

/** One line, and not a long one. */
export function show(value: string): string {
  const cut = value.length > LONGEST_SHOWN ? `${value.slice(0, LONGEST_SHOWN)}...` : value;
  return JSON.stringify(cut);
}
