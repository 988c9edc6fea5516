// SPDX-License-Identifier: Apache-2.0
// What each call of the table can be given to do at most: the case of worst-*.c or long-calls.c that does
// it beside a neighbour, or why there is none. worst-cases.test.ts holds this list against the table.

/** `FILE/CASE`, and the calls whose most work it makes. */
const cases: Readonly<Record<string, string>> = {
  'worst-memory/unmapping': 'munmap',
  'worst-memory/mapping_over': 'mmap',
  'worst-memory/protecting': 'mprotect pkey_mprotect',
  'worst-memory/moving': 'mremap',
  'worst-memory/advising': 'madvise',
  'worst-memory/locking': 'mlock mlock2 munlock mlockall munlockall',
  'worst-memory/synchronizing': 'msync mincore',
  'worst-memory/policies': 'mbind get_mempolicy set_mempolicy migrate_pages',
  'worst-memory/forking': 'fork vfork clone clone3 exit exit_group wait4',
  'worst-memory/shared_segments': 'shmat shmdt shmget shmctl',
  'worst-memory/large_ranges': 'brk',
  'worst-memory/many_file_mappings': 'remap_file_pages',
  'worst-memory/file_mappings': 'fsync',
  'worst-descriptors/closing_ranges': 'close_range unshare',
  'worst-descriptors/leaving_files': 'dup dup2 dup3 pipe pipe2',
  'worst-descriptors/closing_on_exec': 'execveat',
  'worst-descriptors/listing_files': 'getdents getdents64',
  'worst-descriptors/polling': 'poll ppoll',
  'worst-descriptors/selecting': 'select pselect6',
  'worst-descriptors/many_interests':
    'epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 close',
  'worst-descriptors/many_timer_files': 'timerfd_create timerfd_settime timerfd_gettime',
  'worst-files/large_directories':
    'rename renameat renameat2 unlink unlinkat link linkat mkdir mkdirat rmdir mknod mknodat lseek',
  'worst-files/long_paths':
    'stat lstat newfstatat statx access faccessat faccessat2 open openat openat2 creat readlink ' +
    'readlinkat symlink symlinkat chmod fchmodat fchmodat2 chown lchown fchownat utime utimes ' +
    'utimensat futimesat statfs',
  'worst-files/deep_directories': 'getcwd chdir fchdir chroot',
  'worst-files/large_attributes':
    'setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr ' +
    'removexattr lremovexattr fremovexattr',
  'worst-files/many_ranges': 'fcntl',
  'worst-files/many_lock_waiters': 'flock',
  'worst-files/many_watches': 'inotify_init inotify_init1 inotify_add_watch inotify_rm_watch',
  'worst-files/many_mounts': 'mount umount2 pivot_root setns',
  'worst-files/large_files': 'truncate ftruncate fallocate fdatasync sync syncfs',
  'worst-files/holes': 'fadvise64 readahead sync_file_range',
  'worst-ipc/undone_semaphores': 'semget semctl',
  'worst-ipc/semaphore_waiters': 'semop semtimedop',
  'worst-ipc/many_messages': 'msgget msgsnd msgrcv msgctl',
  'worst-ipc/posix_queues':
    'mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr',
  'worst-ipc/chain_in_flight': 'socketpair shutdown',
  'worst-ipc/many_sockets': 'socket bind',
  'worst-ipc/many_connections': 'connect accept accept4 listen getsockname getpeername',
  'worst-ipc/many_vectors':
    'sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg tee vmsplice splice getsockopt setsockopt',
  'worst-ipc/terminals': 'ioctl vhangup',
  'worst-processes/many_arguments': 'execve',
  'worst-processes/many_processes':
    'kill setpriority getpriority ioprio_set ioprio_get waitid setpgid setsid sysinfo',
  'worst-processes/many_futex_waiters': 'futex',
  'worst-processes/many_sleeping_threads': 'nanosleep clock_nanosleep',
  'worst-processes/ending_with_threads': 'tgkill tkill set_robust_list get_robust_list',
  'worst-processes/queued_signals':
    'rt_sigqueueinfo rt_tgsigqueueinfo rt_sigtimedwait rt_sigpending rt_sigaction rt_sigprocmask ' +
    'rt_sigsuspend pidfd_send_signal signalfd signalfd4',
  'worst-processes/many_timers':
    'timer_create timer_settime timer_gettime timer_getoverrun timer_delete',
  'worst-processes/many_groups': 'setgroups getgroups',
  'worst-processes/long_filters': 'seccomp prctl',
  'long-calls/read_of_zeros': 'read pread64 readv preadv preadv2',
  'long-calls/read_of_random_bytes': 'getrandom',
  'long-calls/copy_between_processes': 'process_vm_readv process_vm_writev',
  'long-calls/files': 'sendfile copy_file_range write pwrite64 writev pwritev pwritev2',
};

/** Calls whose work no argument and nothing that a guest makes before can lengthen, by the reason. */
const constant: Readonly<Record<string, string>> = {
  'tells or sets numbers of the caller or of one other task':
    'getpid gettid getppid getpgrp getpgid getsid getuid geteuid getgid getegid getresuid getresgid ' +
    'setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid capget capset umask ' +
    'personality getrlimit setrlimit prlimit64 getrusage times alarm getitimer setitimer ' +
    'set_tid_address arch_prctl sigaltstack sched_setparam sched_getparam sched_setscheduler ' +
    'sched_getscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval ' +
    'sched_setattr sched_getattr getcpu pkey_alloc pkey_free',
  'masks have a place for each processor that the guest sees, which are at most some hundreds':
    'sched_setaffinity sched_getaffinity',
  'tells or sets a clock or a name of at most 64 bytes':
    'gettimeofday time clock_gettime clock_settime clock_getres uname sethostname setdomainname',
  'tells a bounded struct of an open file, or changes one': 'fstat fstatfs fchmod fchown',
  'gives the processor away, sleeps, or goes on after a signal':
    'sched_yield pause restart_syscall rt_sigreturn',
  'makes one small object': 'eventfd eventfd2 memfd_create pidfd_open pidfd_getfd',
  'reads and changes one stopped thread, and tells of at most 4,096 signals': 'ptrace',
  'the log is empty': 'syslog',
};

const wordsOf = (text: string): string[] => text.split(' ');

/** The calls with a case, and the case of each. */
export const caseOfCall: ReadonlyMap<string, string> = new Map(
  Object.entries(cases).flatMap(([name, calls]) =>
    wordsOf(calls).map((call) => [call, name] as const),
  ),
);

export const constantCalls: readonly string[] = Object.values(constant).flatMap(wordsOf);
