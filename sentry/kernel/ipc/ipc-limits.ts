// SPDX-License-Identifier: Apache-2.0
// The settings of an IPC namespace: kernel.{msg*,sem,shm*} and fs.mqueue.* (proc_sys_kernel(5),
// mq_overview(7)). A new namespace begins with the defaults, whatever its maker's are.
import { type SysctlRule, sysctlRules, sysctlValue } from '../../../abi/sysctl.ts';

export class IpcLimits {
  readonly #changed = new Map<string, string>();

  /** Are settings of this name those of an IPC namespace? */
  static has(key: string): boolean {
    return /^(fs\.mqueue\.|kernel\.(msg|sem$|shm))/.test(key) && Object.hasOwn(sysctlRules, key);
  }

  text(key: string): string {
    return this.#changed.get(key) ?? ruleOf(key).initial;
  }

  number(key: string): number {
    return Number(this.text(key));
  }

  /** kernel.sem: SEMMSL, SEMMNS, SEMOPM, SEMMNI. */
  get semaphores(): { perSet: number; inAll: number; operations: number; sets: number } {
    const [perSet = 0, inAll = 0, operations = 0, sets = 0] = this.text('kernel.sem')
      .split('\t')
      .map(Number);
    return { perSet, inAll, operations, sets };
  }

  /** False: no such value. Of several numbers the first may be given alone: the others stay. */
  set(key: string, value: string): boolean {
    const rule = ruleOf(key);
    const given = value.trim().split(/\s+/).slice(0, rule.numbers);
    const kept = this.text(key).split('\t').slice(given.length);
    const shown = sysctlValue(rule, [...given, ...kept].join(' '));
    if (shown === undefined) return false;
    this.#changed.set(key, shown);
    return true;
  }
}

function ruleOf(key: string): SysctlRule {
  return sysctlRules[key] as SysctlRule;
}
