// SPDX-License-Identifier: Apache-2.0
// The Sentry's log: lines as pino writes them, straight to the descriptor that the command line opened.
import { native } from '../../native/addon.ts';
import { STDERR_LOG } from '../../protocol/descriptors.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type Log = (level: LogLevel, message: string) => void;

const levels = { debug: 20, info: 30, warn: 40, error: 50 } as const;

export function newLog(enabled: boolean): Log {
  if (!enabled) return () => undefined;
  return (level, msg) => {
    const line = JSON.stringify({
      level: levels[level],
      time: Date.now(),
      pid: 1,
      name: 'sentry',
      msg,
    });
    const bytes = Buffer.from(`${line}\n`);
    // A log that cannot be written (full disk) is no reason to end the guest.
    native.write(STDERR_LOG, bytes, 0, bytes.length);
  };
}
