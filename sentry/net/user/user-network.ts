// SPDX-License-Identifier: Apache-2.0
// The network of --network user, as the kernel knows networks.
import type { Network } from '../../kernel/network.ts';
import { newLoopbackNetwork } from '../inet/loopback-network.ts';
import { eth0Interface } from './user-devices.ts';
import { userInterfaceIoctl } from './user-ioctl.ts';
import { answerUserRoute } from './user-route.ts';
import type { UserWayOut } from './user-way-out.ts';

export function newUserNetwork(wayOut: UserWayOut): Network {
  const inside = newLoopbackNetwork(wayOut);
  return {
    ...inside,
    answerRoute: answerUserRoute,
    interfaceIoctl: userInterfaceIoctl,
    interfaces: () => [...inside.interfaces(), eth0Interface],
  };
}
