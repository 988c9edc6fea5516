// SPDX-License-Identifier: Apache-2.0
// Resource limits of a process (getrlimit(2)).
import {
  RLIM_INFINITY,
  RLIM_NLIMITS,
  RLIMIT_CORE,
  RLIMIT_MEMLOCK,
  RLIMIT_MSGQUEUE,
  RLIMIT_NICE,
  RLIMIT_NOFILE,
  RLIMIT_NPROC,
  RLIMIT_RTPRIO,
  RLIMIT_SIGPENDING,
  RLIMIT_STACK,
} from '../../abi/resource.ts';

export interface Limit {
  /** RLIM_INFINITY for none. */
  readonly soft: number;
  readonly hard: number;
}

const unlimited: Limit = { soft: RLIM_INFINITY, hard: RLIM_INFINITY };

export class Limits {
  readonly #limits: Limit[];

  constructor(limits?: readonly Limit[]) {
    this.#limits = limits === undefined ? initialLimits() : limits.slice();
  }

  get(resource: number): Limit {
    return this.#limits[resource] ?? unlimited;
  }

  soft(resource: number): number {
    return this.get(resource).soft;
  }

  set(resource: number, limit: Limit): void {
    this.#limits[resource] = limit;
  }

  fork(): Limits {
    return new Limits(this.#limits);
  }
}

/** Returns Linux's INIT_RLIMITS, with the values that distributions run containers with. */
function initialLimits(): Limit[] {
  const limits: Limit[] = new Array<Limit>(RLIM_NLIMITS).fill(unlimited);
  limits[RLIMIT_STACK] = { soft: 8 * 1024 * 1024, hard: RLIM_INFINITY };
  limits[RLIMIT_CORE] = { soft: 0, hard: RLIM_INFINITY };
  limits[RLIMIT_NPROC] = { soft: 31_000, hard: 31_000 };
  limits[RLIMIT_NOFILE] = { soft: 1024, hard: 1_048_576 };
  limits[RLIMIT_MEMLOCK] = { soft: 8 * 1024 * 1024, hard: 8 * 1024 * 1024 };
  limits[RLIMIT_SIGPENDING] = { soft: 31_000, hard: 31_000 };
  limits[RLIMIT_MSGQUEUE] = { soft: 819_200, hard: 819_200 };
  limits[RLIMIT_NICE] = { soft: 0, hard: 0 };
  limits[RLIMIT_RTPRIO] = { soft: 0, hard: 0 };
  return limits;
}
