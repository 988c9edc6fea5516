// What objects of the Sentry's kernel are charged (memory-account.ts). Each figure was measured as
// the growth of the Sentry's resident memory for each object of many, and rounded up;
// docs/memory.md shows the table and how to measure again.

export const OBJECT_COST = {
  /** A process without its threads: its host process's part in the Sentry, and the Sentry's in the host. */
  process: 24_576,
  /** A thread, with its page of the mailbox, and the stack and records of the host's kernel. */
  task: 40_960,
  /** A mapping, in the Sentry and in the host's kernel. */
  vma: 640,
  /**
   * A file, directory or link of a tmpfs or of an overlay's upper half, with its first name and its
   * dentry.
   */
  inode: 1536,
  /** Each further name of a file. */
  name: 512,
  /** An extended attribute, beside its name and value. */
  xattr: 256,
} as const;
