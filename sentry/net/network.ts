// Which network the sandbox has: its own loopback device (inet/), or the one of the host
// (host-inet/). Chosen once, at boot; everything that differs between the two goes through here.
import type { Result, SysResult } from '../../abi/errno.ts';
import type { Task } from '../kernel/task.ts';
import type { Caller } from '../vfs/caller.ts';
import { newLoopbackSocket } from './inet/families.ts';
import { interfaceIoctl } from './inet/interface-ioctl.ts';
import { answerLoopbackRoute } from './netlink/loopback-route.ts';
import type { RouteAnswerer } from './netlink/route-message.ts';
import type { Socket } from './socket.ts';

export interface Network {
  /** A socket of AF_INET or AF_INET6. `flags`: O_NONBLOCK. */
  newSocket(
    task: Task,
    domain: number,
    type: number,
    protocol: number,
    flags: number,
  ): Result<Socket>;
  /** A request of rtnetlink(7). */
  readonly answerRoute: RouteAnswerer;
  /** A request of sock_diag(7); undefined: there is no such protocol. */
  readonly answerDiag: RouteAnswerer | undefined;
  /** An ioctl of netdevice(7); undefined for other commands. */
  interfaceIoctl(command: number, argument: number, caller: Caller): SysResult | undefined;
}

let network: Network = {
  newSocket: newLoopbackSocket,
  answerRoute: answerLoopbackRoute,
  answerDiag: undefined,
  interfaceIoctl,
};

export function currentNetwork(): Network {
  return network;
}

/** Called at most once, before there is any socket. */
export function setNetwork(chosen: Network): void {
  network = chosen;
}
