// SPDX-License-Identifier: Apache-2.0
// A UTS namespace (uts_namespaces(7)): host name and NIS domain. Every container has one of its own
// or shares one of its pod; a task gets another by clone, unshare or setns.

import { CAP_SYS_ADMIN } from '../../abi/capability.ts';
import type { IdRanges } from '../../protocol/id-ranges.ts';
import { isCapable } from '../vfs/credentials.ts';
import { rulesOver } from './id-ranges.ts';
import type { Kernel } from './kernel.ts';
import type { Task } from './task.ts';

/** init_uts_ns. */
const NO_DOMAIN = '(none)';

export class UtsNamespace {
  /** The number in /proc/PID/ns/uts. */
  readonly inode: number;
  /** Byte strings, at most 64 long. */
  hostname: string;
  domainname: string;

  /** The id ranges of the user namespace to which the UTS namespace belongs. */
  readonly ids: IdRanges;

  constructor(kernel: Kernel, ids: IdRanges, hostname: string, domainname: string = NO_DOMAIN) {
    this.ids = ids;
    this.inode = kernel.namespaceNumbers.next('uts');
    this.hostname = hostname;
    this.domainname = domainname;
  }

  /** A new one starts with the names of whoever makes it. */
  fork(maker: Task): UtsNamespace {
    return new UtsNamespace(
      maker.kernel,
      maker.group.container.ids,
      this.hostname,
      this.domainname,
    );
  }

  /** sethostname(2), and setns(2): CAP_SYS_ADMIN in the namespace's own user namespace. */
  isRuledBy({ credentials, group }: Task): boolean {
    return isCapable(credentials, CAP_SYS_ADMIN) && rulesOver(group.container.ids, this.ids);
  }

  /** It is only names: nothing has to be done at its end. */
  acquire(): this {
    return this;
  }

  release(): void {}
}
