// SPDX-License-Identifier: Apache-2.0
// What `runts start` and `runts kill` tell a container's front: the value of a real-time signal. It
// reaches the front without a connection, and can ask for signals that no process can catch. Only
// who may signal the front can send one.

/** The signal. */
export const ORDER_SIGNAL = 63;
/** Its value has these bits, so that it is no signal for the guest. */
export const ORDER_MARK = 0x52_00_00_00;
/** Lets a created container run. */
export const ORDER_START = 0x1_00_00;
/**
 * Else the lowest byte is the number of a signal for the container's first process; with this bit
 * for all of them.
 */
export const ORDER_ALL = 0x2_00_00;
/** The bits of the signal's number. */
export const ORDER_NUMBER = 0xff;
