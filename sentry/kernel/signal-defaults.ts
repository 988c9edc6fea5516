// SPDX-License-Identifier: Apache-2.0
// What a signal does when nobody handles it (signal(7)).
import {
  SIGABRT,
  SIGBUS,
  SIGCHLD,
  SIGCONT,
  SIGFPE,
  SIGILL,
  SIGQUIT,
  SIGSEGV,
  SIGSYS,
  SIGTRAP,
  SIGURG,
  SIGWINCH,
  SIGXCPU,
  SIGXFSZ,
} from '../../abi/signal.ts';
import { SignalSet } from '../base/sigset.ts';
import { isStopSignal } from './signal-state.ts';

const coreSignals = SignalSet.of(
  SIGQUIT,
  SIGILL,
  SIGTRAP,
  SIGABRT,
  SIGBUS,
  SIGFPE,
  SIGSEGV,
  SIGXCPU,
  SIGXFSZ,
  SIGSYS,
);
const ignoredSignals = SignalSet.of(SIGCHLD, SIGURG, SIGWINCH, SIGCONT);

export const isIgnoredByDefault = (signal: number): boolean => ignoredSignals.has(signal);
/** Terminates without a core dump. */
export const isFatalByDefault = (signal: number): boolean =>
  !coreSignals.has(signal) && !ignoredSignals.has(signal) && !isStopSignal(signal);
