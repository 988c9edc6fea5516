// SPDX-License-Identifier: Apache-2.0
// Sequence numbers count modulo 2^32 on the wire (RFC 9293 3.4). Inside, places in a stream are plain
// numbers that never wrap: the SYN is at 0, the first byte at 1.

/** a - b, as a number from -2^31 on. */
export const difference = (a: number, b: number): number => (a - b) | 0;

/** The place in a stream of the sequence number `wire`, near the place `near`. `first`: of place 0. */
export function placeOf(wire: number, first: number, near: number): number {
  return near + ((wire - ((first + near) >>> 0)) | 0);
}

/** The sequence number of a place. */
export const wireOf = (place: number, first: number): number => (first + place) >>> 0;
