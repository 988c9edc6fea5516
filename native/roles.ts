// What a preboot (native/preboot) asks of the programs that it loads: they do not start, but leave
// here how to.
export interface Roles {
  sentry?: () => void;
  gofer?: () => void;
  /** From the launcher, for the one that starts. */
  argument?: string | undefined;
}

const roles = (globalThis as { runtsRoles?: Roles }).runtsRoles;

/** Starts now, or in a preboot when it has become that. */
export function startAs(role: 'sentry' | 'gofer', start: () => void): void {
  if (roles === undefined) start();
  else roles[role] = start;
}

/**
 * Returns the argument that the launcher passes beside the descriptors
 * (native/launcher/children.c).
 */
export function launcherArgument(): string {
  return (roles === undefined ? process.argv.at(-1) : roles.argument) ?? '';
}
