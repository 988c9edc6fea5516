// SPDX-License-Identifier: Apache-2.0
// What the kernel knows of a terminal; fs/tty implements it.
import type { Session } from './session.ts';

export interface ControllingTerminal {
  /** Device number, for tty_nr in /proc/PID/stat. */
  readonly rdev: number;
  /** The session whose controlling terminal this is. */
  session: Session | undefined;
  /** The session leader exited or gave it up: hang up the foreground group, detach. */
  sessionEnded(session: Session): void;
}
