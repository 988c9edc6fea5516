// SPDX-License-Identifier: Apache-2.0
// What the loader of the command line (tools/code-cache.ts) asks first: whether this Node is to be more.
export { forkPreboot } from './fork.ts';
export { startNursery } from './nursery.ts';
