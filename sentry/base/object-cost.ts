// SPDX-License-Identifier: Apache-2.0
// What objects of the Sentry's kernel are charged (memory-account.ts). Each figure was measured as
// the growth of the Sentry's resident memory for each object of many, and rounded up;
// docs/memory.md shows the table and how to measure again.

export const OBJECT_COST = {
  /**
   * A process without its threads: its part in the Sentry, its first page of mailbox, what a zombie
   * keeps.
   */
  process: 24_576,
  /** A thread, with its page of the mailbox, and the stack and records of the host's kernel. */
  task: 40_960,
  /** A mapping in the Sentry; that of the host is counted by the platform. */
  vma: 192,
  /** An open file description, with the dentry that it pins. */
  openFile: 1024,
  /** The price of an open text of /proc or /sys beside that and the text itself. */
  textFile: 1536,
  /** The price of a socket beside that of its open file description. */
  socket: 2048,
  /**
   * A connection that the network proxy carries: its buffers there (two of 32 KiB), and what the host
   * holds of the stream between.
   */
  proxiedStream: 98_304,
  /** A name in the snapshot that an open directory is read from. */
  listedName: 96,
  /** An entry of a poll(2) or select(2) that sleeps. */
  polledFile: 64,
  /** A place in a table of descriptors. */
  descriptor: 16,
  /** A connection in TIME_WAIT. */
  timeWait: 512,
  /** A message that waits at a socket, beside its bytes. */
  message: 1280,
  /** A descriptor that a message carries. */
  fileInFlight: 16,
  /**
   * A file, directory or link of a tmpfs or of an overlay's upper half, with its first name and its
   * dentry.
   */
  inode: 1536,
  /** Each further name of a file. */
  name: 512,
  /** An extended attribute, beside its name and value. */
  xattr: 256,
  /** A record lock. */
  lock: 1536,
  /** A mount. */
  mount: 1024,
  /** An entry of an epoll instance. */
  epollItem: 768,
  /** A watch of an inotify instance. */
  inotifyWatch: 512,
  /** An event that nobody has read, beside its name. */
  inotifyEvent: 128,
  /** A timer of timer_create(2). */
  timer: 640,
  /** A signal that waits. */
  signal: 512,
  /** A supplementary group of a process. */
  group: 8,
  /** An instruction of a seccomp filter, for each process that the filter holds. */
  filterInstruction: 16,
} as const;
