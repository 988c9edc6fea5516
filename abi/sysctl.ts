// SPDX-License-Identifier: Apache-2.0
// Settings below /proc/sys that a container may be started with (linux.sysctl), and what they are
// without that (proc_sys(5), Documentation/admin-guide/sysctl/{kernel,net}.rst,
// networking/ip-sysctl.rst; fs.mqueue: mq_overview(7)).

export interface SysctlRule {
  readonly initial: string;
  /** How many whole numbers the value has; 0: it is a text. */
  readonly numbers: number;
  readonly least: number;
  readonly most: number;
}

const MAX = 0x7fff_ffff;
const LONG = Number.MAX_VALUE;

const number = (initial: number | string, least = 0, most: number = MAX): SysctlRule => ({
  initial: String(initial),
  numbers: 1,
  least,
  most,
});
const numbers = (initial: string, least = 0, most: number = MAX): SysctlRule => ({
  initial,
  numbers: initial.split('\t').length,
  least,
  most,
});
const text = (initial: string): SysctlRule => ({ initial, numbers: 0, least: 0, most: 0 });
const flag = (initial: 0 | 1): SysctlRule => number(initial, 0, 1);

export const sysctlRules: Readonly<Record<string, SysctlRule>> = {
  'fs.mqueue.msg_default': number(10, 1, 65536),
  'fs.mqueue.msg_max': number(10, 1, 65536),
  'fs.mqueue.msgsize_default': number(8192, 128, 16_777_216),
  'fs.mqueue.msgsize_max': number(8192, 128, 16_777_216),
  'fs.mqueue.queues_max': number(256),
  'kernel.domainname': text('(none)'),
  'kernel.msgmax': number(8192),
  'kernel.msgmnb': number(16384),
  'kernel.msgmni': number(32000, 0, 0x7fff),
  'kernel.sem': numbers('32000\t1024000000\t500\t32000'),
  'kernel.shm_rmid_forced': flag(0),
  'kernel.shmall': number('18446744073692774399', 0, LONG),
  'kernel.shmmax': number('18446744073692774399', 0, LONG),
  'kernel.shmmni': number(4096, 0, 0x7fff),
  'net.core.netdev_max_backlog': number(1000),
  'net.core.optmem_max': number(131072),
  'net.core.rmem_default': number(212992, 2304),
  'net.core.rmem_max': number(212992, 2304),
  'net.core.somaxconn': number(4096),
  'net.core.wmem_default': number(212992, 4608),
  'net.core.wmem_max': number(212992, 4608),
  'net.ipv4.conf.all.accept_redirects': flag(0),
  'net.ipv4.conf.all.arp_announce': number(0, 0, 2),
  'net.ipv4.conf.all.arp_ignore': number(0, 0, 8),
  'net.ipv4.conf.all.forwarding': flag(0),
  'net.ipv4.conf.all.rp_filter': number(0, 0, 2),
  'net.ipv4.conf.all.send_redirects': flag(1),
  'net.ipv4.conf.default.accept_redirects': flag(1),
  'net.ipv4.conf.default.forwarding': flag(0),
  'net.ipv4.conf.default.rp_filter': number(0, 0, 2),
  'net.ipv4.icmp_echo_ignore_broadcasts': flag(1),
  'net.ipv4.ip_forward': flag(0),
  'net.ipv4.ip_local_port_range': numbers('32768\t60999', 1, 65535),
  'net.ipv4.ip_local_reserved_ports': text(''),
  'net.ipv4.ip_nonlocal_bind': flag(0),
  'net.ipv4.ip_unprivileged_port_start': number(1024, 0, 65535),
  'net.ipv4.ping_group_range': numbers('1\t0'),
  'net.ipv4.tcp_congestion_control': text('reno'),
  'net.ipv4.tcp_fin_timeout': number(60),
  'net.ipv4.tcp_keepalive_intvl': number(75, 1),
  'net.ipv4.tcp_keepalive_probes': number(9, 0, 255),
  'net.ipv4.tcp_keepalive_time': number(7200, 1),
  'net.ipv4.tcp_max_syn_backlog': number(128),
  'net.ipv4.tcp_max_tw_buckets': number(131072),
  'net.ipv4.tcp_rmem': numbers('4096\t131072\t6291456', 1),
  'net.ipv4.tcp_sack': flag(1),
  'net.ipv4.tcp_syn_retries': number(6, 1, 127),
  'net.ipv4.tcp_syncookies': number(1, 0, 2),
  'net.ipv4.tcp_timestamps': number(1, 0, 2),
  'net.ipv4.tcp_tw_reuse': number(2, 0, 2),
  'net.ipv4.tcp_window_scaling': flag(1),
  'net.ipv4.tcp_wmem': numbers('4096\t16384\t4194304', 1),
  'net.ipv6.bindv6only': flag(0),
  'net.ipv6.conf.all.disable_ipv6': flag(0),
  'net.ipv6.conf.all.forwarding': flag(0),
  'net.ipv6.conf.default.disable_ipv6': flag(0),
  'net.ipv6.conf.default.forwarding': flag(0),
  'net.ipv6.conf.lo.disable_ipv6': flag(0),
  'net.unix.max_dgram_qlen': number(512),
};

/** The value as /proc/sys shows it, or undefined where the rule does not allow it. */
export function sysctlValue(rule: SysctlRule, value: string): string | undefined {
  if (rule.numbers === 0) return value.length <= 64 && !/[\0\n]/.test(value) ? value : undefined;
  const parts = value.trim().split(/\s+/);
  if (parts.length !== rule.numbers) return undefined;
  const isGood = (part: string): boolean =>
    /^-?\d{1,20}$/.test(part) && Number(part) >= rule.least && Number(part) <= rule.most;
  return parts.every(isGood) ? parts.join('\t') : undefined;
}
