// SPDX-License-Identifier: Apache-2.0
// Generic ioctl numbers: include/uapi/asm-generic/ioctls.h, linux/fs.h, linux/sockios.h. Those of
// terminals are in termios.ts.
export const FIONREAD = 0x541b;
export const FIONBIO = 0x5421;
export const FIONCLEX = 0x5450;
export const FIOCLEX = 0x5451;
export const FIOASYNC = 0x5452;
export const FIOQSIZE = 0x5460;
/** Same number as TIOCOUTQ. */
export const SIOCOUTQ = 0x5411;
/** _IO(0x94, 9), linux/fs.h: clones a whole file. */
export const FICLONE = 0x4004_9409;
export const FS_IOC_GETFLAGS = 0x8008_6601;
export const FS_IOC_SETFLAGS = 0x4008_6602;

export const FIOSETOWN = 0x8901;
export const SIOCSPGRP = 0x8902;
export const FIOGETOWN = 0x8903;
export const SIOCGPGRP = 0x8904;
export const SIOCATMARK = 0x8905;
export const SIOCGIFNAME = 0x8910;
export const SIOCGIFCONF = 0x8912;
export const SIOCGIFFLAGS = 0x8913;
export const SIOCGIFADDR = 0x8915;
export const SIOCGIFBRDADDR = 0x8919;
export const SIOCGIFNETMASK = 0x891b;
export const SIOCGIFMETRIC = 0x891d;
export const SIOCGIFMTU = 0x8921;
export const SIOCGIFHWADDR = 0x8927;
export const SIOCGIFINDEX = 0x8933;
export const SIOCGIFTXQLEN = 0x8942;
export const SIOCGIFDSTADDR = 0x8917;
export const SIOCGIFMAP = 0x8970;
/** Bytes not sent at all; SIOCOUTQ counts those not acknowledged too. */
export const SIOCOUTQNSD = 0x894b;
export const SIOCGSTAMP = 0x8906;
export const SIOCGSTAMPNS = 0x8907;
export const SIOCGSTAMP_NEW = 0x8010_8906;
export const SIOCGSTAMPNS_NEW = 0x8010_8907;
export const SIOCETHTOOL = 0x8946;
