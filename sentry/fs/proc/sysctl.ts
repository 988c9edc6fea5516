// SPDX-License-Identifier: Apache-2.0
// /proc/sys (proc_sys(5)): settings of the kernel. Those that programs read show what holds here; those
// that may be changed are few.

import { CAP_LAST_CAP, CAP_NET_ADMIN, CAP_SYS_ADMIN } from '../../../abi/capability.ts';
import { EACCES, EINVAL, EPERM, isErrno, type SysResult } from '../../../abi/errno.ts';
import { uuid } from '../../base/uuid.ts';
import { IpcLimits } from '../../kernel/ipc/ipc-limits.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Task } from '../../kernel/task.ts';
import { MAX_MAP_COUNT } from '../../mm/limits.ts';
import { MMAP_RANDOM_BITS } from '../../mm/placement.ts';
import type { Caller } from '../../vfs/caller.ts';
import { isCapable } from '../../vfs/credentials.ts';
import { MOUNT_MAX } from '../../vfs/mount.ts';
import { PROTECTED_LINKS } from '../../vfs/protected-links.ts';
import { ptyLimit } from '../devpts/devpts-filesystem.ts';
import { maxUserEntries } from '../epoll/epoll.ts';
import { maxQueuedEvents, maxUserInstances, maxUserWatches } from '../inotify/inotify.ts';
import { directory } from '../pseudo/directory.ts';
import { type Entries, type Entry, type Render, settingOperations } from '../pseudo/entry.ts';
import { type TextFileOptions, textFile } from '../pseudo/text-file.ts';
import { parseInteger } from './subject.ts';

const PID_MAX = 4_194_304;

/** A directory of settings. These do not count what is in them as links. */
const settingsDirectory = (entries: Entries<Kernel>): Entry<Kernel> =>
  directory(entries, { linkCount: 1 });

function settingFile(
  mode: number,
  render: Render<Kernel>,
  options: TextFileOptions<Kernel> = {},
): Entry<Kernel> {
  return textFile<Kernel>(mode, render, { ...options, operations: settingOperations });
}

/**
 * A setting that is as it is: writing answers EPERM even to root (its effect lies outside the
 * sandbox, or there is none).
 */
const fixed = (value: string | number): Entry<Kernel> => fixedBy(() => value);

const fixedBy = (value: (kernel: Kernel) => string | number): Entry<Kernel> =>
  settingFile(0o444, (kernel) => `${value(kernel)}\n`);

/** A setting of the IPC namespace of whoever opens the file; root may change it. */
const ipcSetting = (key: string): Entry<Kernel> =>
  settingFile(0o644, (_kernel, caller) => `${(caller as Task).ipc.limits.text(key)}\n`, {
    write: (_kernel, text, caller) =>
      (caller as Task).ipc.limits.set(key, text.replace(/\0.*$/s, '')) ? text.length : EINVAL,
  });

/** A setting of the sandbox's own network; root may change it. */
const networkSetting = (key: string): Entry<Kernel> =>
  settingFile(0o644, ({ settings }) => `${settings.text(key)}\n`, {
    write: ({ settings }, text, caller) => {
      if (!isCapable(caller.credentials, CAP_NET_ADMIN)) return EPERM;
      return settings.set(key, text.replace(/\n?\0?$/, '')) ? text.length : EINVAL;
    },
  });

/** The same for others, unless the container was started with another value (linux.sysctl). */
function setting(key: string, kernel?: Kernel): Entry<Kernel> {
  if (IpcLimits.has(key)) return ipcSetting(key);
  // The settings of a network that is the host's are the host's.
  const isOwn = kernel !== undefined && kernel.network.files.names.length === 0;
  return isOwn && key.startsWith('net.')
    ? networkSetting(key)
    : fixedBy(({ settings }) => settings.text(key));
}

/**
 * All settings whose keys begin with `prefix`, as a directory, with what else is in there. A slash
 * in a key is a dot of the name (an interface's), as in sysctl(8).
 */
function settingsBelow(
  prefix: string,
  others: Readonly<Record<string, Entry<Kernel>>> = {},
): Entry<Kernel> {
  return (filesystem, kernel) => {
    const entries: Record<string, Entry<Kernel>> = { ...others };
    for (const key of kernel.settings.keys()) {
      if (!key.startsWith(`${prefix}.`)) continue;
      const [name = '', ...rest] = key.slice(prefix.length + 1).split('.');
      const entry = rest.length === 0 ? setting(key, kernel) : settingsBelow(`${prefix}.${name}`);
      entries[name.replaceAll('/', '.')] ??= entry;
    }
    return settingsDirectory(entries)(filesystem, kernel);
  };
}

/** A value that is kept for whoever set it, root alone may, and nothing here depends on. */
function kept(key: string, initial: number, least: number, most: number): Entry<Kernel> {
  return settingFile(0o644, ({ settings }) => `${settings.kept(key) ?? initial}\n`, {
    write: (kernel, text, caller) => {
      if (!isCapable(caller.credentials, CAP_SYS_ADMIN)) return EPERM;
      const parsed = parseInteger(text, EINVAL);
      if (isErrno(parsed)) return parsed;
      if (parsed.value < least || parsed.value > most) return EINVAL;
      kernel.settings.keep(key, parsed.value);
      return text.length;
    },
  });
}

/** A name of the UTS namespace of the caller. */
function utsName(name: 'hostname' | 'domainname'): Entry<Kernel> {
  return settingFile(0o644, (_kernel, caller) => `${(caller as Task).uts[name]}\n`, {
    write: (_kernel, text, caller: Caller): SysResult => {
      const { uts } = caller as Task;
      if (!uts.isRuledBy(caller as Task)) return EPERM;
      const value = text.replace(/[\n\0].*$/s, '');
      if (value.length > 64) return EINVAL;
      uts[name] = value;
      return text.length;
    },
  });
}

const random = settingsDirectory({
  boot_id: settingFile(0o444, (kernel) => `${kernel.bootId}\n`),
  entropy_avail: fixed(256),
  poolsize: fixed(256),
  urandom_min_reseed_secs: fixed(60),
  uuid: settingFile(0o444, (kernel) => `${uuid(kernel.randomFill)}\n`),
  write_wakeup_threshold: fixed(256),
});

const kernelSettings = settingsDirectory({
  cap_last_cap: fixed(CAP_LAST_CAP),
  core_pattern: fixed('core'),
  core_uses_pid: fixed(0),
  dmesg_restrict: fixed(1),
  domainname: utsName('domainname'),
  hostname: utsName('hostname'),
  io_uring_disabled: fixed(2),
  kptr_restrict: fixed(1),
  msgmax: setting('kernel.msgmax'),
  msgmnb: setting('kernel.msgmnb'),
  msgmni: setting('kernel.msgmni'),
  ngroups_max: fixed(65536),
  osrelease: settingFile(0o444, (kernel) => `${kernel.release}\n`),
  ostype: settingFile(0o444, (kernel) => `${kernel.sysname}\n`),
  overflowgid: fixed(65534),
  overflowuid: fixed(65534),
  perf_event_paranoid: fixed(4),
  pid_max: fixed(PID_MAX),
  printk: fixed('4\t4\t1\t7'),
  pty: settingsDirectory({ max: fixed(ptyLimit), reserve: fixed(0) }),
  random,
  randomize_va_space: fixed(2),
  sched_child_runs_first: fixed(0),
  seccomp: settingsDirectory({
    actions_avail: fixed('kill_process kill_thread trap errno trace log allow'),
  }),
  sem: setting('kernel.sem'),
  shm_rmid_forced: setting('kernel.shm_rmid_forced'),
  shmall: setting('kernel.shmall'),
  shmmax: setting('kernel.shmmax'),
  shmmni: setting('kernel.shmmni'),
  sysrq: fixed(0),
  tainted: fixed(0),
  'threads-max': settingFile(
    0o444,
    (_kernel, caller) =>
      `${Math.min(PID_MAX, (caller as Task).group.container.allowance.limits.pids)}\n`,
  ),
  unprivileged_bpf_disabled: fixed(2),
  unprivileged_userns_clone: fixed(0),
  version: settingFile(0o444, (kernel) => `${kernel.version}\n`),
  yama: settingsDirectory({ ptrace_scope: fixed(1) }),
});

const vmSettings = settingsDirectory({
  compact_memory: settingFile(0o200, () => EACCES),
  dirty_background_ratio: fixed(10),
  dirty_ratio: fixed(20),
  drop_caches: settingFile(0o200, () => EACCES),
  legacy_va_layout: fixed(0),
  max_map_count: fixed(MAX_MAP_COUNT),
  min_free_kbytes: fixed(0),
  mmap_min_addr: fixed(65536),
  mmap_rnd_bits: fixed(MMAP_RANDOM_BITS),
  mmap_rnd_compat_bits: fixed(8),
  nr_hugepages: fixed(0),
  nr_overcommit_hugepages: fixed(0),
  oom_kill_allocating_task: fixed(0),
  overcommit_kbytes: fixed(0),
  overcommit_memory: fixed(0),
  overcommit_ratio: fixed(50),
  panic_on_oom: fixed(0),
  swappiness: kept('vm.swappiness', 60, 0, 200),
  unprivileged_userfaultfd: fixed(0),
  vfs_cache_pressure: kept('vm.vfs_cache_pressure', 100, 0, 0x7fffffff),
  zone_reclaim_mode: fixed(0),
});

const fsSettings = settingsDirectory({
  'aio-max-nr': fixed(65536),
  'aio-nr': fixed(0),
  'dentry-state': fixed('0\t0\t45\t0\t0\t0'),
  epoll: settingsDirectory({ max_user_watches: fixed(maxUserEntries) }),
  'file-max': fixed('9223372036854775807'),
  'file-nr': fixed('0\t0\t9223372036854775807'),
  inotify: settingsDirectory({
    max_queued_events: fixed(maxQueuedEvents),
    max_user_instances: fixed(maxUserInstances),
    max_user_watches: fixed(maxUserWatches),
  }),
  'lease-break-time': fixed(45),
  'leases-enable': fixed(0),
  mqueue: settingsBelow('fs.mqueue'),
  'mount-max': fixed(MOUNT_MAX),
  nr_open: fixed(1_048_576),
  overflowgid: fixed(65534),
  overflowuid: fixed(65534),
  'pipe-max-size': fixed(1_048_576),
  'pipe-user-pages-hard': fixed(0),
  'pipe-user-pages-soft': fixed(16384),
  protected_fifos: fixed(PROTECTED_LINKS.fifos),
  protected_hardlinks: fixed(PROTECTED_LINKS.hardlinks),
  protected_regular: fixed(PROTECTED_LINKS.regular),
  protected_symlinks: fixed(PROTECTED_LINKS.symlinks),
  suid_dumpable: fixed(0),
});

const netSettings = settingsBelow('net', {
  ipv4: settingsBelow('net.ipv4', {
    tcp_available_congestion_control: fixedBy(
      ({ settings }) => settings.text('net.ipv4.tcp_available_congestion_control') || 'reno',
    ),
  }),
});

export const sysDirectory: Entry<Kernel> = settingsDirectory({
  abi: settingsDirectory({}),
  debug: settingsDirectory({}),
  dev: settingsDirectory({ tty: settingsDirectory({ legacy_tiocsti: fixed(0) }) }),
  fs: fsSettings,
  kernel: kernelSettings,
  net: netSettings,
  user: settingsDirectory({
    max_user_namespaces: fixed(0),
    max_pid_namespaces: fixed(0),
    max_net_namespaces: fixed(0),
  }),
  vm: vmSettings,
});
