// SPDX-License-Identifier: Apache-2.0
// Node's own flags: the same for the command line (bin/runts), the Sentry and the Gofer, for the
// first may become the others (native/preboot).
export const nodeFlags: readonly string[] = [
  '--disallow-code-generation-from-strings',
  '--no-warnings',
  '--disable-sigusr1',
  // Workers of V8 beyond one would only contend with the guest for the processors.
  '--v8-pool-size=1',
  // A preboot (native/preboot) is a fork, in which only one thread is left. No difference measured otherwise.
  '--single-threaded',
  // Most of what a start runs, it runs once: 5 ms of processor time would go into compiling it. The
  // Sentry and the Gofer turn this on when they are ready (native/baseline-compiler.ts).
  '--no-sparkplug',
  '--min-semi-space-size=4',
  // A collection of young objects takes as long as copying those that live: where a guest makes very many
  // that do, 16 MiB of them held the Sentry's thread for 100 ms at a time, 4 MiB hold it for some 10.
  '--max-semi-space-size=4',
  // native/memory-trim.ts
  '--expose-gc',
];
