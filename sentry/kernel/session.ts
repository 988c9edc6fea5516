// SPDX-License-Identifier: Apache-2.0
// Sessions and process groups (setsid(2), setpgid(2), credentials(7)).
import type { ControllingTerminal } from './terminal.ts';
import type { ThreadGroup } from './thread-group.ts';

export class Session {
  readonly id: number;
  readonly groups: Set<ProcessGroup> = new Set();
  terminal: ControllingTerminal | undefined = undefined;
  /** Foreground process group of `terminal`. */
  foreground: ProcessGroup | undefined = undefined;
  leader: ThreadGroup | undefined;

  constructor(leader: ThreadGroup) {
    this.id = leader.id;
    this.leader = leader;
  }
}

export class ProcessGroup {
  readonly id: number;
  readonly session: Session;
  readonly members: Set<ThreadGroup> = new Set();

  constructor(id: number, session: Session) {
    this.id = id;
    this.session = session;
    session.groups.add(this);
  }

  /** No member has a parent in another group of the same session (POSIX: orphaned). */
  isOrphaned(ignoring?: ThreadGroup): boolean {
    for (const member of this.members) {
      if (member === ignoring || member.isDead) continue;
      const parent = member.parent;
      if (parent === undefined) continue;
      if (parent.isVirtual && member === member.kernel.mainGroup && member.kernel.mainHasShell)
        return false;
      if (parent.isVirtual) continue;
      if (parent.processGroup !== this && parent.processGroup.session === this.session)
        return false;
    }
    return true;
  }
}
