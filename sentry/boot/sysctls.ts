// SPDX-License-Identifier: Apache-2.0
// linux.sysctl of the OCI runtime specification: settings of the Sentry's own kernel.
import type { Settings } from '../base/settings.ts';
import { IpcLimits } from '../kernel/ipc/ipc-limits.ts';
import type { IpcNamespace } from '../kernel/ipc/ipc-namespace.ts';
import type { UtsNamespace } from '../kernel/uts-namespace.ts';
import { BootFailure } from './boot-failure.ts';

/** Those of the IPC and UTS namespaces hold for those of the container alone. */
export function applySysctls(
  settings: Settings,
  ipc: IpcNamespace,
  uts: UtsNamespace,
  values: Readonly<Record<string, string>>,
): void {
  for (const [key, value] of Object.entries(values)) {
    const isSet = IpcLimits.has(key) ? ipc.limits.set(key, value) : settings.set(key, value);
    if (!isSet) throw new BootFailure(`sysctl ${key}: no such setting or value`);
    if (key === 'kernel.domainname') uts.domainname = value;
  }
}
