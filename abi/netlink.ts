// SPDX-License-Identifier: Apache-2.0
// include/uapi/linux/netlink.h, rtnetlink.h, if_link.h, if_addr.h, sock_diag.h, inet_diag.h.
export const NETLINK_ROUTE = 0;
export const NETLINK_SOCK_DIAG = 4;

/** struct sockaddr_nl: u16 family, u16 pad, u32 pid, u32 groups. */
export const sockaddrNl = { pid: 4, groups: 8, size: 12 } as const;
/** struct nlmsghdr: u32 length, u16 type, u16 flags, u32 sequence, u32 pid. */
export const nlmsghdr = { length: 0, type: 4, flags: 6, sequence: 8, pid: 12, size: 16 } as const;

export const NLMSG_NOOP = 1;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
/** Types below this are control messages. */
export const NLMSG_MIN_TYPE = 0x10;

export const NLM_F_REQUEST = 0x1;
export const NLM_F_MULTI = 0x2;
export const NLM_F_ACK = 0x4;
export const NLM_F_ROOT = 0x100;
export const NLM_F_MATCH = 0x200;
export const NLM_F_DUMP: number = NLM_F_ROOT | NLM_F_MATCH;

export const RTM_NEWLINK = 16;
export const RTM_GETLINK = 18;
export const RTM_NEWADDR = 20;
export const RTM_GETADDR = 22;
export const RTM_GETROUTE = 26;
export const RTM_MAX = 123;

export const IFLA_ADDRESS = 1;
export const IFLA_BROADCAST = 2;
export const IFLA_IFNAME = 3;
export const IFLA_MTU = 4;
export const IFLA_QDISC = 6;
export const IFLA_TXQLEN = 13;
export const IFLA_OPERSTATE = 16;

export const IFA_ADDRESS = 1;
export const IFA_LOCAL = 2;
export const IFA_LABEL = 3;
export const IFA_FLAGS = 8;
export const IFA_F_PERMANENT = 0x80;
/** RT_SCOPE_HOST. */
export const RT_SCOPE_HOST = 254;
/** struct ifinfomsg, struct ifaddrmsg: sizes. */
export const IFINFOMSG_BYTES = 16;
export const IFADDRMSG_BYTES = 8;
export const RTM_NEWROUTE = 24;
export const RTM_GETNEIGH = 30;
export const RTM_GETRULE = 34;
export const RTA_DST = 1;
/** Flags of struct rtmsg that ask how to answer. */
export const RTM_F_LOOKUP_TABLE = 0x1000;
export const RTM_F_FIB_MATCH = 0x2000;
export const IFLA_LINK = 5;
export const IFLA_STATS64 = 23;
export const IFLA_CARRIER = 33;
/** struct rtmsg, ndmsg and fib_rule_hdr. */
export const RTMSG_BYTES = 12;

export const SOCK_DIAG_BY_FAMILY = 20;
export const SOCK_DESTROY = 21;
/** struct inet_diag_req_v2: family, protocol, what else to tell, states, which socket. */
export const INET_DIAG_REQ_BYTES = 56;
/** An attribute of it: a program that says which. */
export const INET_DIAG_REQ_BYTECODE = 1;

export const RTM_NEWNEIGH = 28;
export const RTA_OIF = 4;
export const RTA_GATEWAY = 5;
export const RTA_PRIORITY = 6;
export const RTA_PREFSRC = 7;
export const RTA_TABLE = 15;
export const RT_TABLE_MAIN = 254;
/** Types of routes: RTN_*. */
export const RTN_UNICAST = 1;
export const RTN_LOCAL = 2;
export const RTN_BLACKHOLE = 6;
export const RTN_UNREACHABLE = 7;
export const RTN_PROHIBIT = 8;
export const NDA_DST = 1;
export const NDA_LLADDR = 2;
export const NDMSG_BYTES = 12;
export const NUD_PERMANENT = 0x80;
export const NUD_NOARP = 0x40;
