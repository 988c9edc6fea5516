// A container that asks for a network and gets a loopback only is told of it where a person looks:
// the container's own standard error (`docker run`, `docker logs`, `kubectl logs`).
import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs';

const NOTICE =
  'runts: this container has a loopback only; for the network that the engine gave it set runtimeArgs ["--network", "host"] where the engine is told of runts, or the annotation dev.runts.network=host\n';

/**
 * Writes the notice where the network namespace of the front has a network. `pid` is the front's;
 * `hasConsole` says that the container's standard error is a terminal which the front has made.
 */
export function tellMissingNetwork(pid: number, hasConsole: boolean): void {
  if (!hasRoutes(pid)) return;
  try {
    if (hasConsole) writeToTerminal(pid);
    else writeSync(2, NOTICE);
  } catch {
    // Nobody reads there, or nobody does so in time: the log has it too.
  }
}

/** The caller's own standard error is not the container's then. */
function writeToTerminal(pid: number): void {
  const { O_WRONLY, O_NOCTTY, O_NONBLOCK } = constants;
  const fd = openSync(`/proc/${pid}/fd/2`, O_WRONLY | O_NOCTTY | O_NONBLOCK);
  try {
    writeSync(fd, NOTICE.replace('\n', '\r\n'));
  } finally {
    closeSync(fd);
  }
}

/**
 * Returns whether an interface has an address and a way out. A namespace without a network may have
 * interfaces besides the loopback (those of tunnels, which every new one gets), but no routes.
 */
function hasRoutes(pid: number): boolean {
  try {
    const [, ...ipv4] = readFileSync(`/proc/${pid}/net/route`, 'utf8').trim().split('\n');
    if (ipv4.length > 0) return true;
    const ipv6 = readFileSync(`/proc/${pid}/net/ipv6_route`, 'utf8').trim().split('\n');
    return ipv6.some((route) => route !== '' && !/\slo$/.test(route));
  } catch {
    // The host has no such protocol, or the front has ended.
    return false;
  }
}
