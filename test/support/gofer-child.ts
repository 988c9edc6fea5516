// SPDX-License-Identifier: Apache-2.0
// A Gofer without confinement, for tests: serves the directories of its arguments ('rw:' before
// writable ones) on descriptor 3. GOFER_WATCHES: how many directories it may watch.
import { AT_FDCWD, O_DIRECTORY, O_PATH } from '../../abi/fcntl.ts';
import { runGofer } from '../../gofer/server.ts';
import { native } from '../../native/addon.ts';
import type { OwnersConfig } from '../../protocol/attach-config.ts';

// As the real one does before it is confined.
native.reopen(-1, 0);
/** Of all attach points. */
const owners = process.env['GOFER_OWNERS'];
const attachPoints = process.argv.slice(2).map((argument) => {
  const readOnly = !argument.startsWith('rw:');
  return {
    fd: native.openat2(
      AT_FDCWD,
      readOnly ? argument : argument.slice(3),
      O_PATH | O_DIRECTORY,
      0,
      0,
    ),
    readOnly,
    owners: owners === undefined ? undefined : (JSON.parse(owners) as OwnersConfig),
  };
});
native.watchFromDescriptors();
const maxWatches = Number(process.env['GOFER_WATCHES'] ?? 0);
process.exit(runGofer({ socketFd: 3, attachPoints, maxOpen: 8, maxWatches }) === 0 ? 0 : 1);
