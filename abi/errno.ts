/**
 * Errors travel as the kernel returns them: integers in -4095..-1. Never thrown.
 * Source: include/uapi/asm-generic/errno-base.h and errno.h.
 */
declare const brand: unique symbol;
export type Errno = number & { readonly [brand]: 'Errno' };
const code = (n: number): Errno => -n as Errno;

export const EPERM: Errno = code(1);
export const ENOENT: Errno = code(2);
export const ESRCH: Errno = code(3);
export const EINTR: Errno = code(4);
export const EIO: Errno = code(5);
export const ENXIO: Errno = code(6);
export const E2BIG: Errno = code(7);
export const ENOEXEC: Errno = code(8);
export const EBADF: Errno = code(9);
export const ECHILD: Errno = code(10);
export const EAGAIN: Errno = code(11);
export const ENOMEM: Errno = code(12);
export const EACCES: Errno = code(13);
export const EFAULT: Errno = code(14);
export const ENOTBLK: Errno = code(15);
export const EBUSY: Errno = code(16);
export const EEXIST: Errno = code(17);
export const EXDEV: Errno = code(18);
export const ENODEV: Errno = code(19);
export const ENOTDIR: Errno = code(20);
export const EISDIR: Errno = code(21);
export const EINVAL: Errno = code(22);
export const ENFILE: Errno = code(23);
export const EMFILE: Errno = code(24);
export const ENOTTY: Errno = code(25);
export const ETXTBSY: Errno = code(26);
export const EFBIG: Errno = code(27);
export const ENOSPC: Errno = code(28);
export const ESPIPE: Errno = code(29);
export const EROFS: Errno = code(30);
export const EMLINK: Errno = code(31);
export const EPIPE: Errno = code(32);
export const EDOM: Errno = code(33);
export const ERANGE: Errno = code(34);
export const EDEADLK: Errno = code(35);
export const ENAMETOOLONG: Errno = code(36);
export const ENOLCK: Errno = code(37);
export const ENOSYS: Errno = code(38);
export const ENOTEMPTY: Errno = code(39);
export const ELOOP: Errno = code(40);
export const ENOMSG: Errno = code(42);
export const EIDRM: Errno = code(43);
export const ECHRNG: Errno = code(44);
export const EL2NSYNC: Errno = code(45);
export const EL3HLT: Errno = code(46);
export const EL3RST: Errno = code(47);
export const ELNRNG: Errno = code(48);
export const EUNATCH: Errno = code(49);
export const ENOCSI: Errno = code(50);
export const EL2HLT: Errno = code(51);
export const EBADE: Errno = code(52);
export const EBADR: Errno = code(53);
export const EXFULL: Errno = code(54);
export const ENOANO: Errno = code(55);
export const EBADRQC: Errno = code(56);
export const EBADSLT: Errno = code(57);
export const EBFONT: Errno = code(59);
export const ENOSTR: Errno = code(60);
export const ENODATA: Errno = code(61);
export const ETIME: Errno = code(62);
export const ENOSR: Errno = code(63);
export const ENONET: Errno = code(64);
export const ENOPKG: Errno = code(65);
export const EREMOTE: Errno = code(66);
export const ENOLINK: Errno = code(67);
export const EADV: Errno = code(68);
export const ESRMNT: Errno = code(69);
export const ECOMM: Errno = code(70);
export const EPROTO: Errno = code(71);
export const EMULTIHOP: Errno = code(72);
export const EDOTDOT: Errno = code(73);
export const EBADMSG: Errno = code(74);
export const EOVERFLOW: Errno = code(75);
export const ENOTUNIQ: Errno = code(76);
export const EBADFD: Errno = code(77);
export const EREMCHG: Errno = code(78);
export const ELIBACC: Errno = code(79);
export const ELIBBAD: Errno = code(80);
export const ELIBSCN: Errno = code(81);
export const ELIBMAX: Errno = code(82);
export const ELIBEXEC: Errno = code(83);
export const EILSEQ: Errno = code(84);
export const ERESTART: Errno = code(85);
export const ESTRPIPE: Errno = code(86);
export const EUSERS: Errno = code(87);
export const ENOTSOCK: Errno = code(88);
export const EDESTADDRREQ: Errno = code(89);
export const EMSGSIZE: Errno = code(90);
export const EPROTOTYPE: Errno = code(91);
export const ENOPROTOOPT: Errno = code(92);
export const EPROTONOSUPPORT: Errno = code(93);
export const ESOCKTNOSUPPORT: Errno = code(94);
export const EOPNOTSUPP: Errno = code(95);
export const EPFNOSUPPORT: Errno = code(96);
export const EAFNOSUPPORT: Errno = code(97);
export const EADDRINUSE: Errno = code(98);
export const EADDRNOTAVAIL: Errno = code(99);
export const ENETDOWN: Errno = code(100);
export const ENETUNREACH: Errno = code(101);
export const ENETRESET: Errno = code(102);
export const ECONNABORTED: Errno = code(103);
export const ECONNRESET: Errno = code(104);
export const ENOBUFS: Errno = code(105);
export const EISCONN: Errno = code(106);
export const ENOTCONN: Errno = code(107);
export const ESHUTDOWN: Errno = code(108);
export const ETOOMANYREFS: Errno = code(109);
export const ETIMEDOUT: Errno = code(110);
export const ECONNREFUSED: Errno = code(111);
export const EHOSTDOWN: Errno = code(112);
export const EHOSTUNREACH: Errno = code(113);
export const EALREADY: Errno = code(114);
export const EINPROGRESS: Errno = code(115);
export const ESTALE: Errno = code(116);
export const EUCLEAN: Errno = code(117);
export const ENOTNAM: Errno = code(118);
export const ENAVAIL: Errno = code(119);
export const EISNAM: Errno = code(120);
export const EREMOTEIO: Errno = code(121);
export const EDQUOT: Errno = code(122);
export const ENOMEDIUM: Errno = code(123);
export const EMEDIUMTYPE: Errno = code(124);
export const ECANCELED: Errno = code(125);
export const ENOKEY: Errno = code(126);
export const EKEYEXPIRED: Errno = code(127);
export const EKEYREVOKED: Errno = code(128);
export const EKEYREJECTED: Errno = code(129);
export const EOWNERDEAD: Errno = code(130);
export const ENOTRECOVERABLE: Errno = code(131);
export const ERFKILL: Errno = code(132);

/** Internal restart codes (include/linux/errno.h); syscall exit turns them into EINTR or a restart. */
export const ERESTARTSYS: Errno = code(512);
export const ERESTARTNOINTR: Errno = code(513);
export const ERESTARTNOHAND: Errno = code(514);
export const ERESTART_RESTARTBLOCK: Errno = code(516);

/** A count, descriptor or address (>= 0), or an Errno. Always a number: no allocation. */
export type SysResult = number;
/** An object or string, or the Errno that stands in for it. One `typeof` tells them apart. */
export type Result<T extends object | string> = T | Errno;

export function isErrno<T extends object | string>(r: Result<T>): r is Errno {
  return typeof r === 'number';
}

const names = new Map<number, string>([
  [-1, 'EPERM'],
  [-2, 'ENOENT'],
  [-3, 'ESRCH'],
  [-4, 'EINTR'],
  [-5, 'EIO'],
  [-6, 'ENXIO'],
  [-7, 'E2BIG'],
  [-8, 'ENOEXEC'],
  [-9, 'EBADF'],
  [-10, 'ECHILD'],
  [-11, 'EAGAIN'],
  [-12, 'ENOMEM'],
  [-13, 'EACCES'],
  [-14, 'EFAULT'],
  [-15, 'ENOTBLK'],
  [-16, 'EBUSY'],
  [-17, 'EEXIST'],
  [-18, 'EXDEV'],
  [-19, 'ENODEV'],
  [-20, 'ENOTDIR'],
  [-21, 'EISDIR'],
  [-22, 'EINVAL'],
  [-23, 'ENFILE'],
  [-24, 'EMFILE'],
  [-25, 'ENOTTY'],
  [-26, 'ETXTBSY'],
  [-27, 'EFBIG'],
  [-28, 'ENOSPC'],
  [-29, 'ESPIPE'],
  [-30, 'EROFS'],
  [-31, 'EMLINK'],
  [-32, 'EPIPE'],
  [-33, 'EDOM'],
  [-34, 'ERANGE'],
  [-35, 'EDEADLK'],
  [-36, 'ENAMETOOLONG'],
  [-37, 'ENOLCK'],
  [-38, 'ENOSYS'],
  [-39, 'ENOTEMPTY'],
  [-40, 'ELOOP'],
  [-42, 'ENOMSG'],
  [-43, 'EIDRM'],
  [-44, 'ECHRNG'],
  [-45, 'EL2NSYNC'],
  [-46, 'EL3HLT'],
  [-47, 'EL3RST'],
  [-48, 'ELNRNG'],
  [-49, 'EUNATCH'],
  [-50, 'ENOCSI'],
  [-51, 'EL2HLT'],
  [-52, 'EBADE'],
  [-53, 'EBADR'],
  [-54, 'EXFULL'],
  [-55, 'ENOANO'],
  [-56, 'EBADRQC'],
  [-57, 'EBADSLT'],
  [-59, 'EBFONT'],
  [-60, 'ENOSTR'],
  [-61, 'ENODATA'],
  [-62, 'ETIME'],
  [-63, 'ENOSR'],
  [-64, 'ENONET'],
  [-65, 'ENOPKG'],
  [-66, 'EREMOTE'],
  [-67, 'ENOLINK'],
  [-68, 'EADV'],
  [-69, 'ESRMNT'],
  [-70, 'ECOMM'],
  [-71, 'EPROTO'],
  [-72, 'EMULTIHOP'],
  [-73, 'EDOTDOT'],
  [-74, 'EBADMSG'],
  [-75, 'EOVERFLOW'],
  [-76, 'ENOTUNIQ'],
  [-77, 'EBADFD'],
  [-78, 'EREMCHG'],
  [-79, 'ELIBACC'],
  [-80, 'ELIBBAD'],
  [-81, 'ELIBSCN'],
  [-82, 'ELIBMAX'],
  [-83, 'ELIBEXEC'],
  [-84, 'EILSEQ'],
  [-85, 'ERESTART'],
  [-86, 'ESTRPIPE'],
  [-87, 'EUSERS'],
  [-88, 'ENOTSOCK'],
  [-89, 'EDESTADDRREQ'],
  [-90, 'EMSGSIZE'],
  [-91, 'EPROTOTYPE'],
  [-92, 'ENOPROTOOPT'],
  [-93, 'EPROTONOSUPPORT'],
  [-94, 'ESOCKTNOSUPPORT'],
  [-95, 'EOPNOTSUPP'],
  [-96, 'EPFNOSUPPORT'],
  [-97, 'EAFNOSUPPORT'],
  [-98, 'EADDRINUSE'],
  [-99, 'EADDRNOTAVAIL'],
  [-100, 'ENETDOWN'],
  [-101, 'ENETUNREACH'],
  [-102, 'ENETRESET'],
  [-103, 'ECONNABORTED'],
  [-104, 'ECONNRESET'],
  [-105, 'ENOBUFS'],
  [-106, 'EISCONN'],
  [-107, 'ENOTCONN'],
  [-108, 'ESHUTDOWN'],
  [-109, 'ETOOMANYREFS'],
  [-110, 'ETIMEDOUT'],
  [-111, 'ECONNREFUSED'],
  [-112, 'EHOSTDOWN'],
  [-113, 'EHOSTUNREACH'],
  [-114, 'EALREADY'],
  [-115, 'EINPROGRESS'],
  [-116, 'ESTALE'],
  [-117, 'EUCLEAN'],
  [-118, 'ENOTNAM'],
  [-119, 'ENAVAIL'],
  [-120, 'EISNAM'],
  [-121, 'EREMOTEIO'],
  [-122, 'EDQUOT'],
  [-123, 'ENOMEDIUM'],
  [-124, 'EMEDIUMTYPE'],
  [-125, 'ECANCELED'],
  [-126, 'ENOKEY'],
  [-127, 'EKEYEXPIRED'],
  [-128, 'EKEYREVOKED'],
  [-129, 'EKEYREJECTED'],
  [-130, 'EOWNERDEAD'],
  [-131, 'ENOTRECOVERABLE'],
  [-132, 'ERFKILL'],
  [-512, 'ERESTARTSYS'],
  [-513, 'ERESTARTNOINTR'],
  [-514, 'ERESTARTNOHAND'],
  [-516, 'ERESTART_RESTARTBLOCK'],
]);

/** The Linux name of an error number, for strace output and messages. */
export function errnoName(e: number): string {
  return names.get(e) ?? `E${-e}`;
}
