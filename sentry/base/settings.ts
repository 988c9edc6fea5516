// Settings of the Sentry's kernel that the configuration can change before anything runs (linux.sysctl, abi/sysctl.ts).
// Inside nobody changes them.
import { sysctlRules, sysctlValue } from '../../abi/sysctl.ts';

class Settings {
  readonly #changed = new Map<string, string>();

  /** False: there is no such setting, or no such value of it. */
  set(key: string, value: string): boolean {
    const rule = Object.hasOwn(sysctlRules, key) ? sysctlRules[key] : undefined;
    const shown = rule === undefined ? undefined : sysctlValue(rule, value);
    if (shown === undefined) return false;
    this.#changed.set(key, shown);
    return true;
  }

  text(key: string): string {
    return this.#changed.get(key) ?? sysctlRules[key]?.initial ?? '';
  }

  number(key: string): number {
    return Number(this.text(key));
  }
}

export const settings: Settings = new Settings();
