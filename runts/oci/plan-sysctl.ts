// SPDX-License-Identifier: Apache-2.0
// linux.sysctl: settings of the Sentry's own kernel and, where guests have the sockets of a network
// namespace of the host's, of that. By the names of sysctl(8).
import { sysctlRules, sysctlValue } from '../../abi/sysctl.ts';
import { toByteString } from '../byte-string.ts';
import { Failure } from '../failure.ts';
import { withDots } from './spec/rules-sysctl.ts';

/** By keys with dots; 'net/core/somaxconn' is taken too, as runc does. */
export interface SysctlPlan {
  /** Settings that the Sentry keeps itself. */
  readonly own: Readonly<Record<string, string>>;
  /** net.* for the host's kernel to judge. */
  readonly ofNetwork: Readonly<Record<string, string>>;
}

export function planSysctls(
  values: Readonly<Record<string, string>>,
  hasHostNetwork: boolean,
): SysctlPlan {
  const own: Record<string, string> = {};
  const ofNetwork: Record<string, string> = {};
  for (const [name, value] of Object.entries(values)) {
    const key = withDots(name);
    if (hasHostNetwork && key.startsWith('net.')) {
      checkHostSetting(key, name, value);
      ofNetwork[key] = value;
    } else {
      checkOwnSetting(key, name, value);
      own[key] = toByteString(value);
    }
  }
  return { own, ofNetwork };
}

function checkOwnSetting(key: string, name: string, value: string): void {
  const rule = Object.hasOwn(sysctlRules, key) ? sysctlRules[key] : undefined;
  if (rule === undefined)
    throw new Failure(
      'RUNTS_E_CONFIG_SYSCTL',
      `linux.sysctl: the sandbox's kernel has no setting '${name}' to start with`,
    );
  if (sysctlValue(rule, value) === undefined)
    throw new Failure(
      'RUNTS_E_CONFIG_SYSCTL',
      `linux.sysctl: '${value}' is not a value of ${name}`,
    );
}

/** Each part is one file name: none leads out of /proc/sys/net. */
function checkHostSetting(key: string, name: string, value: string): void {
  const isName = (part: string): boolean => /^[\w/:-]+$/.test(part) && !/^\/{1,2}$/.test(part);
  if (!key.split('.').every(isName))
    throw new Failure('RUNTS_E_CONFIG_SYSCTL', `linux.sysctl: '${name}' is not a setting`);
  if (/[\0\n]/.test(value))
    throw new Failure('RUNTS_E_CONFIG_SYSCTL', `linux.sysctl: ${name} has no value`);
}
