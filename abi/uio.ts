// SPDX-License-Identifier: Apache-2.0
// include/uapi/linux/uio.h, and the RWF_* flags of linux/fs.h.
/** UIO_MAXIOV. */
export const IOV_MAX = 1024;
/** sizeof(struct iovec): u64 base, u64 length. */
export const IOVEC_BYTES = 16;
/** No single read or write moves more: INT_MAX rounded down to a page (include/linux/fs.h). */
export const MAX_RW_COUNT = 0x7fff_f000;

export const RWF_HIPRI = 0x01;
export const RWF_DSYNC = 0x02;
export const RWF_SYNC = 0x04;
export const RWF_NOWAIT = 0x08;
export const RWF_APPEND = 0x10;
export const RWF_NOAPPEND = 0x20;

export const SPLICE_F_MOVE = 0x1;
export const SPLICE_F_NONBLOCK = 0x2;
export const SPLICE_F_MORE = 0x4;
export const SPLICE_F_GIFT = 0x8;
