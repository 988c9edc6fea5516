// SPDX-License-Identifier: Apache-2.0
// Which calls a trace shows: `--strace-filter`, with strace(1)'s words behind -e trace=.

/** The calls and signals that a trace shows. */
export interface TraceFilter {
  wants(name: string): boolean;
  readonly signals: boolean;
}

const classes: Readonly<Record<string, RegExp>> = {
  file: /^(open|openat|openat2|creat|stat|lstat|newfstatat|statx|statfs|access|faccessat2?|readlink(at)?|mkdir(at)?|rmdir|rename(at2?)?|link(at)?|symlink(at)?|unlink(at)?|ch(mod|own|dir|root)|lchown|fch(modat2?|ownat)|mknod(at)?|truncate|utimes?|utimensat|futimesat|execve(at)?|getcwd|mount|umount2|pivot_root|l?(get|set|list|remove)xattr|inotify_add_watch|swapon|swapoff|acct|uselib)$/,
  process:
    /^(fork|vfork|clone3?|execve(at)?|exit(_group)?|wait4|waitid|kill|tkill|tgkill|rt_(tg)?sigqueueinfo|pidfd_(open|send_signal))$/,
  network:
    /^(socket(pair)?|bind|listen|accept4?|connect|getsockname|getpeername|send(to|msg|mmsg|file)|recv(from|msg|mmsg)|shutdown|[gs]etsockopt)$/,
  signal: /^(kill|tkill|tgkill|pause|sigaltstack|rt_(tg)?sig\w+|signalfd4?|pidfd_send_signal)$/,
  ipc: /^(msg|sem|shm)(get|ctl|at|dt|op|snd|rcv|timedop)$/,
  memory:
    /^(mmap|munmap|mprotect|mremap|brk|madvise|msync|mincore|m(un)?lock(2|all)?|mbind|[gs]et_mempolicy|migrate_pages|move_pages|pkey_mprotect|shmat|shmdt|remap_file_pages)$/,
  desc: /^(p?(read|write)(v2?|64)?|open(at2?)?|creat|close(_range)?|dup[23]?|lseek|pipe2?|f(cntl|lock|stat|statfs|sync|datasync|truncate|allocate|advise64|chdir|chmod|chmodat2?|chown|chownat|accessat2?|utimesat|getxattr|setxattr|listxattr|removexattr)|ioctl|poll|ppoll|p?select6?|epoll_\w+|eventfd2?|signalfd4?|timerfd_\w+|inotify_\w+|getdents(64)?|sendfile|splice|tee|vmsplice|copy_file_range|mmap|memfd_create|(mkdir|mknod|link|symlink|unlink|readlink|newfstat|utimens)at|renameat2?|linkat|pidfd_\w+)$/,
};

/**
 * `words` as `network,!futex` or `trace=network,!futex`: names and classes (%file or file) that are
 * shown, all where each word is one that is not. Answers the word that nothing is called by.
 */
export function parseFilter(
  words: string,
  isCall: (name: string) => boolean,
): TraceFilter | { readonly unknown: string } {
  const shown: RegExp[] = [];
  const hidden: RegExp[] = [];
  let signals = true;
  for (const word of words.replace(/^trace=/, '').split(',')) {
    const isHidden = word.startsWith('!');
    const name = word.replace(/^!/, '');
    if (name === 'signals' || name === 'none' || name === 'all') {
      if (name === 'signals') signals = !isHidden;
      else if ((name === 'none') !== isHidden) hidden.push(/./);
      continue;
    }
    const matches = classes[name.replace(/^%/, '')] ?? (isCall(name) ? exactly(name) : undefined);
    if (matches === undefined) return { unknown: word };
    (isHidden ? hidden : shown).push(matches);
  }
  return {
    signals,
    wants: (name) =>
      (shown.length === 0 || shown.some((each) => each.test(name))) &&
      !hidden.some((each) => each.test(name)),
  };
}

function exactly(name: string): RegExp {
  return new RegExp(`^${name}$`);
}
