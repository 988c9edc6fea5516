// SPDX-License-Identifier: Apache-2.0
// What the caller may do on the host, as far as runc's rules go by that: which directory keeps the
// state, and whether cgroups that cannot be made may be done without.
import { readFileSync } from 'node:fs';

/**
 * Returns whether the caller has no rights beyond its own: it is not root, or root of a user
 * namespace only (Podman, Buildah and a rootless Docker start a runtime so).
 */
export function isRootless(): boolean {
  return process.geteuid?.() !== 0 || isInUserNamespace();
}

/**
 * Returns XDG_RUNTIME_DIR where state belongs below it. As with runc it does not for the root of a
 * user namespace that calls itself root (`su` in such a namespace keeps the variable of the user).
 */
export function userRuntimeDirectory(): string | undefined {
  const directory = process.env['XDG_RUNTIME_DIR'] ?? '';
  if (directory === '' || !isRootless()) return undefined;
  return process.geteuid?.() === 0 && process.env['USER'] === 'root' ? undefined : directory;
}

/** user_namespaces(7): only the first namespace has all ids, as themselves. */
function isInUserNamespace(): boolean {
  try {
    const [inside, outside, count] = readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/);
    return !(inside === '0' && outside === '0' && count === '4294967295');
  } catch {
    // A kernel without user namespaces has no such file.
    return false;
  }
}
