// `runts checkpoint` and `runts restore`: not there yet.
import { Failure } from '../failure.ts';

export function refuseCheckpoint(verb: 'checkpoint' | 'restore'): never {
  throw new Failure(`${verb}: not supported yet`, 1);
}
