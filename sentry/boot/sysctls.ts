// linux.sysctl of the OCI runtime specification: settings of the Sentry's own kernel.
import { settings } from '../base/settings.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { BootFailure } from './boot-failure.ts';

export function applySysctls(kernel: Kernel, values: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(values)) {
    if (!settings.set(key, value)) throw new BootFailure(`sysctl ${key}: no such setting or value`);
    if (key === 'kernel.domainname') kernel.domainname = value;
  }
}
