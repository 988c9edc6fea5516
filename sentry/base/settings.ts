// SPDX-License-Identifier: Apache-2.0
// Settings of the Sentry's kernel that the configuration can change before anything runs
// (linux.sysctl, abi/sysctl.ts). Inside nobody changes those that anything depends on. Those of a
// network that is the host's (net.*) show what holds there when the Sentry boots.
import { sysctlRules, sysctlValue } from '../../abi/sysctl.ts';

export class Settings {
  readonly #changed = new Map<string, string>();
  readonly #kept = new Map<string, number>();
  readonly #absent = new Set<string>();

  /** False: there is no such setting, or no such value of it. */
  set(key: string, value: string): boolean {
    const rule = Object.hasOwn(sysctlRules, key) ? sysctlRules[key] : undefined;
    const shown = rule === undefined ? undefined : sysctlValue(rule, value);
    if (shown === undefined) return false;
    this.#changed.set(key, shown);
    return true;
  }

  /** Takes the host's value of a setting, undefined where the host has no such setting. */
  take(key: string, value: string | undefined): void {
    if (value === undefined) this.#absent.add(key);
    else this.#changed.set(key, value);
  }

  /** All that there are. */
  keys(): string[] {
    const keys = new Set([...Object.keys(sysctlRules), ...this.#changed.keys()]);
    return [...keys].filter((key) => !this.#absent.has(key));
  }

  /**
   * Returns the value that root inside wrote to a setting on which nothing depends; undefined where
   * none was written.
   */
  kept(key: string): number | undefined {
    return this.#kept.get(key);
  }

  keep(key: string, value: number): void {
    this.#kept.set(key, value);
  }

  text(key: string): string {
    return this.#changed.get(key) ?? sysctlRules[key]?.initial ?? '';
  }

  number(key: string): number {
    return Number(this.text(key));
  }
}
