// Node's own flags for the Sentry and the Gofer; in the one-file build (tools/single-file.ts) for the command line too.
export const nodeFlags: readonly string[] = [
  '--disallow-code-generation-from-strings',
  '--no-warnings',
  '--disable-sigusr1',
  // Workers of V8 beyond one would only contend with the guest for the processors.
  '--v8-pool-size=1',
  '--min-semi-space-size=4',
  // native/footprint.ts
  '--expose-gc',
];
