// SPDX-License-Identifier: Apache-2.0
// What the Sentry asks the network broker (native/launcher/broker.c) for: one message a request,
// with the descriptor that it is about. The answer is an i32, 0 or -errno, with the descriptor that
// was made.

export const BROKER_MAKE_RAW = 1;
export const BROKER_MAKE_PING = 2;
export const BROKER_BIND = 3;

/** Byte offsets: four u32, and the address. */
export const BROKER_REQUEST = {
  operation: 0,
  domain: 4,
  /** The protocol, in a request BROKER_MAKE_RAW. */
  protocol: 8,
  /** The length of the address, in a request BROKER_BIND. */
  addressBytes: 12,
  address: 16,
} as const;
/** The size of struct sockaddr_in6. */
export const BROKER_ADDRESS_BYTES = 28;
export const BROKER_REQUEST_BYTES = BROKER_REQUEST.address + BROKER_ADDRESS_BYTES;
