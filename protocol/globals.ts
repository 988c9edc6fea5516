// SPDX-License-Identifier: Apache-2.0
// What the bundles of one process leave for each other on the global object: each is a program of
// its own that shares no module with the others. All members are here, and nothing else of ours is
// on that object.

/**
 * The state that the main script of the one-file build (runts/single-file/main.ts) leaves for the
 * bundle that it starts.
 */
export interface SingleFile {
  /** A part by its name in tools/single-file.ts. Its bytes lie in the mapped executable: for reading only. */
  part(name: string): Uint8Array;
  loadAddon(module: { exports: unknown }): void;
}

/** The programs that a preboot loads do not start, but leave here how to start them. */
export interface Roles {
  sentry?: () => void;
  gofer?: () => void;
  cli?: (args: readonly string[]) => void;
  /** Loads what the verb `create` needs. */
  prepareCli?: () => Promise<void>;
  /** From the launcher, for the one that starts. */
  argument?: string | undefined;
}

/** native/preboot/addon.c */
export interface PrebootAddon {
  fork(socket: Int32Array): number;
  awaitRole(): readonly [name: string, argument: string | undefined];
  ask(socket: number, kind: number, words: Uint8Array, fds: Int32Array): number;
  awaitCall(listener: number, directory: number, file: number, seconds: number): number;
  takeCall(call: number, out: Int32Array): readonly string[];
  startFront(call: number, words: Uint8Array, fds: Int32Array): number;
  endCall(call: number, code: number): never;
}

/** In a command line that a nursery has forked: the process that asked for it. */
export interface Caller {
  /** Has it start a front with these words and descriptors: pid or -errno. */
  startFront(words: Uint8Array, fds: Int32Array): number;
  /** It ends with this code, and so does this process. */
  end(code: number): never;
}

/** The command line's knowledge of the preboot that it has forked. */
export interface Preboot {
  readonly pid: number;
  readonly socket: number;
  readonly addon: PrebootAddon;
  /** It has loaded the Sentry's program, not the Gofer's alone. */
  readonly hasSentry: boolean;
  /** It has been told what to be, and is not to end with the command line. */
  isAsked: boolean;
}

export interface RuntsGlobals {
  /** Absent in the source tree and with bundles in build/: every part is a file then. */
  runtsSingleFile?: SingleFile;
  /** In a command line that has a preboot: by runts/preboot/fork.ts, for runts/preboot/ask.ts. */
  runtsPreboot?: Preboot;
  /** By runts/preboot/nursery.ts, for runts/oci/front.ts and runts/end-now.ts. */
  runtsCaller?: Caller;
  /** In a preboot: by runts/preboot/fork.ts, for native/roles.ts. */
  runtsRoles?: Roles;
  /** V8's code cache of the bundle that runs; by its loader (tools/code-cache.ts). */
  runtsCodeCache?: () => Uint8Array;
  /** Writes that cache to its file; by the loader. */
  runtsSaveCodeCache?: () => void;
}

export const globals = globalThis as RuntsGlobals;
