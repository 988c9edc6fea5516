// SPDX-License-Identifier: Apache-2.0
// `runts checkpoint` and `runts restore`: not there yet.
import { Failure } from '../failure.ts';

export function refuseCheckpoint(verb: 'checkpoint' | 'restore'): never {
  throw new Failure('RUNTS_E_NOT_SUPPORTED', `${verb}: not supported yet`);
}
