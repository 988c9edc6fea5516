// SPDX-License-Identifier: Apache-2.0
// `runts do --profile`: where the Sentry's CPU time goes, as V8 samples it, written at the end in
// the form of Chrome's DevTools. V8's sampling thread is made before the filter is installed, for a
// filter that allowed new threads would allow them to guests' code as well; what it asks of the
// host later is `profileRows` (sentry/host/sentry-filter.ts), which no other sandbox has.
import { SENTRY_PROFILE } from '../../protocol/descriptors.ts';
import { writeAll } from './measurement.ts';

/**
 * Between two samples. V8's own choice of 1 ms shows too little of short programs; each interrupts
 * a host call.
 */
const INTERVAL_US = 500;

/** Starts measuring. Answers what stops it and writes the profile. */
export function startProfile(): () => void {
  // Not imported: other starts must not pay for the module.
  const { Session } = process.getBuiltinModule('node:inspector');
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.setSamplingInterval', { interval: INTERVAL_US });
  session.post('Profiler.start');
  return () => {
    session.post('Profiler.stop', (error, result) => {
      if (error === null) writeAll(SENTRY_PROFILE, JSON.stringify(result.profile));
    });
  };
}
