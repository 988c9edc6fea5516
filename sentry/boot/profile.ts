// SPDX-License-Identifier: Apache-2.0
// RUNTS_PROFILE=1: where the Sentry's CPU time goes, measured by V8 and written to the debug log at
// the end as one line, which tools/profile-top.ts reads. Only with --debug-seccomp: V8's sampling
// thread makes calls that the list lacks.
import type { Profiler } from 'node:inspector';
import { native } from '../../native/addon.ts';
import { STDERR_LOG } from '../../protocol/descriptors.ts';

/**
 * Starts measuring, after the start: what confines this process waits for all its threads to rest
 * first. Answers what stops it and writes the log's line.
 */
export function startProfile(): () => void {
  // Not imported: other starts must not pay for the module.
  const { Session } = process.getBuiltinModule('node:inspector');
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.start');
  return () => {
    session.post('Profiler.stop', (error, result) => {
      if (error === null) writeProfile(result.profile);
    });
  };
}

function writeProfile(profile: Profiler.Profile): void {
  const line = { level: 30, time: Date.now(), pid: 1, name: 'sentry', msg: 'profile', profile };
  const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
  for (let at = 0; at < bytes.length; ) {
    const wrote = native.write(STDERR_LOG, bytes, at, bytes.length - at);
    if (wrote <= 0) return;
    at += wrote;
  }
}
