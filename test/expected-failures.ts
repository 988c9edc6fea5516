// SPDX-License-Identifier: Apache-2.0
// Cases that fail in the sandbox, each with the reason. Guest programs: 'guest/FILE: CASE' (and
// 'guest/FILE static: CASE'); real programs: 'programs: NAME'. A listed case that passes fails the run.
const noPi =
  'FUTEX_LOCK_PI changes the word atomically against guest threads, which the Sentry cannot do from outside: it needs an operation of the stub';

export const expectedFailures: ReadonlyMap<string, string> = new Map<string, string>([
  ['guest/threads: priority_inheritance_mutex', noPi],
  ['guest/threads static: priority_inheritance_mutex', noPi],
  [
    'oci/docker-live: network of another container',
    'without a network stack of its own each sandbox has a loopback of its own',
  ],
]);
