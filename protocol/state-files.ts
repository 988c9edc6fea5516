// SPDX-License-Identifier: Apache-2.0
// The directory of a container below --root, which commands of Node and those of the quick path
// (native/launcher/quick) both read and write; and ROOT/ID/quick in it, which is what the quick
// path needs of the container's record. Without that file, or with one that is not as here, the
// quick path leaves the command to Node.

/** ContainerRecord, for Node alone. */
export const STATE_RECORD_FILE = 'state.json';
/** The quick record: the part of the record that the quick path needs. */
export const STATE_QUICK_FILE = 'quick';
/** There once the container was started. */
export const STATE_STARTED_FILE = 'started';
/** On which the Sentry accepts connections. */
export const STATE_SOCKET_FILE = 'control.sock';

export const LONGEST_ID = 1024;

/** The version of the format of ROOT/ID/quick. */
export const QUICK_VERSION = '2';

/** A longer file is not read back. */
export const QUICK_LONGEST = 1 << 20;
export const QUICK_CGROUPS = 20;

/** The words that its lines start with, in the order of the lines. */
export const QUICK_LINE = {
  /** VERSION */
  version: 'runts quick',
  /** PID START: the process of the pid file (process-identity.ts). */
  front: 'front',
  /** KIND...: kinds of hooks there are that a command on this container would have to run, or '-'. */
  hooks: 'hooks',
  /** v1|v2 DIRECTORY, or 'none'. */
  freezer: 'freezer',
  /** yes|no: systemd has a unit for the container, which `delete` stops. */
  unit: 'unit',
  /** ID: whose Sentry the container lives in, itself or the first container of its pod. */
  sandbox: 'sandbox',
  /** DIRECTORY with its config.json. */
  bundle: 'bundle',
  /**
   * owned|shared DIRECTORY: a line for each of its cgroups; only owned ones are removed with the
   * container.
   */
  cgroup: 'cgroup',
  /**
   * BEFORE AFTER: two lengths in bytes. The text that `runts state` prints up to the pid, and from
   * the end of the status on, follow this line. 'none': Node has to find out.
   */
  document: 'document',
} as const;

/** Kinds of hooks that commands of the quick path would have to run. */
export const QUICK_HOOK = {
  startContainer: 'startContainer',
  poststart: 'poststart',
  poststop: 'poststop',
} as const;
