// SPDX-License-Identifier: Apache-2.0
// Signals to the owner of an open file (fcntl(2), F_SETOWN): SIGURG.
import { F_OWNER_PGRP, F_OWNER_TID } from '../../abi/fcntl.ts';
import type { IoOwner } from '../vfs/open-file.ts';
import { PidNamespace } from './pid-namespace.ts';

/** SI_KERNEL. */
const FROM_KERNEL = 0x80;

/** Sends `signal` to the thread, process or process group that F_SETOWN named, if any is there. */
export function signalIoOwner(owner: IoOwner | undefined, signal: number): void {
  if (owner === undefined || owner.id === 0 || !(owner.pids instanceof PidNamespace)) return;
  const { pids } = owner;
  const info = { signal, code: FROM_KERNEL };
  if (owner.type === F_OWNER_PGRP) {
    const group = pids.processGroups.get(owner.id);
    for (const member of group?.members ?? []) member.send(info);
  } else if (owner.type === F_OWNER_TID) pids.tasks.get(owner.id)?.sendSignal(info);
  else pids.processOf(owner.id)?.send(info);
}
