// SPDX-License-Identifier: Apache-2.0
// Terminals: include/uapi/asm-generic/{termbits.h,termbits-common.h,termios.h,ioctls.h}, ioctl_tty(2).

// c_iflag
export const IGNBRK = 0x001;
export const BRKINT = 0x002;
export const IGNPAR = 0x004;
export const PARMRK = 0x008;
export const INPCK = 0x010;
export const ISTRIP = 0x020;
export const INLCR = 0x040;
export const IGNCR = 0x080;
export const ICRNL = 0x100;
export const IUCLC = 0x200;
export const IXON = 0x400;
export const IXANY = 0x800;
export const IXOFF = 0x1000;
export const IMAXBEL = 0x2000;
export const IUTF8 = 0x4000;

// c_oflag
export const OPOST = 0x01;
export const OLCUC = 0x02;
export const ONLCR = 0x04;
export const OCRNL = 0x08;
export const ONOCR = 0x10;
export const ONLRET = 0x20;
export const OFILL = 0x40;
export const OFDEL = 0x80;
export const TABDLY = 0x1800;
export const XTABS = 0x1800;

// c_cflag
export const CBAUD = 0x100f;
export const B38400 = 0x0f;
export const BOTHER = 0x1000;
export const CSIZE = 0x30;
export const CS8 = 0x30;
export const CSTOPB = 0x40;
export const CREAD = 0x80;
export const PARENB = 0x100;
export const PARODD = 0x200;
export const HUPCL = 0x400;
export const CLOCAL = 0x800;
export const CIBAUD = 0x100f0000;
export const IBSHIFT = 16;

// c_lflag
export const ISIG = 0x01;
export const ICANON = 0x02;
export const XCASE = 0x04;
export const ECHO = 0x08;
export const ECHOE = 0x10;
export const ECHOK = 0x20;
export const ECHONL = 0x40;
export const NOFLSH = 0x80;
export const TOSTOP = 0x100;
export const ECHOCTL = 0x200;
export const ECHOPRT = 0x400;
export const ECHOKE = 0x800;
export const FLUSHO = 0x1000;
export const PENDIN = 0x4000;
export const IEXTEN = 0x8000;
export const EXTPROC = 0x10000;

// Indexes of c_cc
export const VINTR = 0;
export const VQUIT = 1;
export const VERASE = 2;
export const VKILL = 3;
export const VEOF = 4;
export const VTIME = 5;
export const VMIN = 6;
export const VSWTC = 7;
export const VSTART = 8;
export const VSTOP = 9;
export const VSUSP = 10;
export const VEOL = 11;
export const VREPRINT = 12;
export const VDISCARD = 13;
export const VWERASE = 14;
export const VLNEXT = 15;
export const VEOL2 = 16;
/** Length of c_cc in the kernel's structs (the C library's are longer). */
export const NCCS = 19;

// ioctls
export const TCGETS = 0x5401;
export const TCSETS = 0x5402;
export const TCSETSW = 0x5403;
export const TCSETSF = 0x5404;
export const TCGETA = 0x5405;
export const TCSETA = 0x5406;
export const TCSETAW = 0x5407;
export const TCSETAF = 0x5408;
export const TCSBRK = 0x5409;
export const TCXONC = 0x540a;
export const TCFLSH = 0x540b;
export const TIOCEXCL = 0x540c;
export const TIOCNXCL = 0x540d;
export const TIOCSCTTY = 0x540e;
export const TIOCGPGRP = 0x540f;
export const TIOCSPGRP = 0x5410;
export const TIOCOUTQ = 0x5411;
export const TIOCSTI = 0x5412;
export const TIOCGWINSZ = 0x5413;
export const TIOCSWINSZ = 0x5414;
export const TIOCMGET = 0x5415;
export const TIOCGSOFTCAR = 0x5419;
export const TIOCSSOFTCAR = 0x541a;
/** The same number as FIONREAD. */
export const TIOCINQ = 0x541b;
export const TIOCCONS = 0x541d;
export const TIOCPKT = 0x5420;
export const TIOCNOTTY = 0x5422;
export const TIOCSETD = 0x5423;
export const TIOCGETD = 0x5424;
export const TCSBRKP = 0x5425;
export const TIOCSBRK = 0x5427;
export const TIOCCBRK = 0x5428;
export const TIOCGSID = 0x5429;
export const TCGETS2 = 0x802c542a;
export const TCSETS2 = 0x402c542b;
export const TCSETSW2 = 0x402c542c;
export const TCSETSF2 = 0x402c542d;
export const TIOCGPTN = 0x80045430;
export const TIOCSPTLCK = 0x40045431;
export const TIOCGDEV = 0x80045432;
export const TIOCSIG = 0x40045436;
export const TIOCVHANGUP = 0x5437;
export const TIOCGPKT = 0x80045438;
export const TIOCGPTLCK = 0x80045439;
export const TIOCGEXCL = 0x80045440;
export const TIOCGPTPEER = 0x5441;

// Arguments of TCXONC and TCFLSH
export const TCOOFF = 0;
export const TCOON = 1;
export const TCIOFF = 2;
export const TCION = 3;
export const TCIFLUSH = 0;
export const TCOFLUSH = 1;
export const TCIOFLUSH = 2;

// The first byte of a read in packet mode
export const TIOCPKT_DATA = 0;
export const TIOCPKT_FLUSHREAD = 1;
export const TIOCPKT_FLUSHWRITE = 2;
export const TIOCPKT_STOP = 4;
export const TIOCPKT_START = 8;
export const TIOCPKT_NOSTOP = 16;
export const TIOCPKT_DOSTOP = 32;
export const TIOCPKT_IOCTL = 64;

/** Line discipline number of terminals. */
export const N_TTY = 0;

/** struct termios: flags at 0, 4, 8, 12, c_line at 16, c_cc from 17. */
export const termiosLayout = {
  iflag: 0,
  oflag: 4,
  cflag: 8,
  lflag: 12,
  line: 16,
  cc: 17,
  size: 36,
} as const;
/** struct termios2 goes on with the speeds. */
export const termios2Layout = { ...termiosLayout, ispeed: 36, ospeed: 40, size: 44 } as const;
/** struct termio (System V): 16-bit flags and 8 control characters. */
export const termioLayout = {
  iflag: 0,
  oflag: 2,
  cflag: 4,
  lflag: 6,
  line: 8,
  cc: 9,
  ccCount: 8,
  size: 18,
} as const;
/** struct winsize. */
export const winsizeLayout = { rows: 0, columns: 2, xPixels: 4, yPixels: 6, size: 8 } as const;

/** Speeds by c_cflag & CBAUD: B0 to B38400, then B57600 (0o10001) and on. */
export const baudRates: readonly number[] = [
  0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400, 57600,
  115200, 230400, 460800, 500000, 576000, 921600, 1000000, 1152000, 1500000, 2000000, 2500000,
  3000000, 3500000, 4000000,
];
