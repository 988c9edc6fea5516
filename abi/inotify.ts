// SPDX-License-Identifier: Apache-2.0
// include/uapi/linux/inotify.h.
import { O_CLOEXEC, O_NONBLOCK } from './fcntl.ts';

export const IN_ACCESS = 0x0001;
export const IN_MODIFY = 0x0002;
export const IN_ATTRIB = 0x0004;
export const IN_CLOSE_WRITE = 0x0008;
export const IN_CLOSE_NOWRITE = 0x0010;
export const IN_OPEN = 0x0020;
export const IN_MOVED_FROM = 0x0040;
export const IN_MOVED_TO = 0x0080;
export const IN_CREATE = 0x0100;
export const IN_DELETE = 0x0200;
export const IN_DELETE_SELF = 0x0400;
export const IN_MOVE_SELF = 0x0800;
export const IN_ALL_EVENTS = 0x0fff;

export const IN_UNMOUNT = 0x2000;
export const IN_Q_OVERFLOW = 0x4000;
export const IN_IGNORED = 0x8000;

export const IN_ONLYDIR = 0x0100_0000;
export const IN_DONT_FOLLOW = 0x0200_0000;
export const IN_EXCL_UNLINK = 0x0400_0000;
export const IN_MASK_CREATE = 0x1000_0000;
export const IN_MASK_ADD = 0x2000_0000;
export const IN_ISDIR = 0x4000_0000;
export const IN_ONESHOT = 0x8000_0000;

export const IN_CLOEXEC = O_CLOEXEC;
export const IN_NONBLOCK = O_NONBLOCK;

/** struct inotify_event without its name. */
export const inotifyEvent = { wd: 0, mask: 4, cookie: 8, length: 12, name: 16 } as const;
