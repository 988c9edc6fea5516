// linux.sysctl: settings of the Sentry's own kernel, by the names of sysctl(8).
import { sysctlRules, sysctlValue } from '../../abi/sysctl.ts';
import { toByteString } from '../byte-string.ts';
import { Failure } from '../failure.ts';

/** By keys with dots; 'net/core/somaxconn' is taken too, as runc does. */
export function planSysctls(
  values: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const planned: Record<string, string> = {};
  for (const [name, value] of Object.entries(values)) {
    const key = name.replaceAll('/', '.');
    const rule = Object.hasOwn(sysctlRules, key) ? sysctlRules[key] : undefined;
    if (rule === undefined)
      throw new Failure(
        `linux.sysctl: the sandbox's kernel has no setting '${name}' to start with`,
      );
    if (sysctlValue(rule, value) === undefined)
      throw new Failure(`linux.sysctl: '${value}' is no value of ${name}`);
    planned[key] = toByteString(value);
  }
  return planned;
}
