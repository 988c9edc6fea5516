// SPDX-License-Identifier: Apache-2.0
// `runts features`: what runts knows of the OCI runtime specification, for engines. It says nothing
// of the host. https://github.com/opencontainers/runtime-spec/blob/v1.2.0/features.md and
// features-linux.md
import { mountOptionNames } from '../oci/mount-options.ts';
import {
  capabilityNames,
  hookNames,
  namespaceTypes,
  seccompActions,
  seccompArchitectures,
  seccompFlags,
  seccompOperators,
} from '../oci/spec/names.ts';
import { NEWEST_VERSION, OLDEST_VERSION } from '../oci/spec/version.ts';
import { version } from '../version.ts';

export function printFeatures(): void {
  process.stdout.write(`${JSON.stringify(features(), null, 2)}\n`);
}

export function features(): object {
  return {
    ociVersionMin: OLDEST_VERSION,
    ociVersionMax: NEWEST_VERSION,
    hooks: hookNames,
    mountOptions: mountOptionNames(),
    linux: {
      namespaces: namespaceTypes,
      capabilities: capabilityNames,
      cgroup: { v1: true, v2: true, systemd: true, systemdUser: false, rdma: true },
      seccomp: {
        enabled: true,
        // The rules refuse it: a listener outside of the sandbox cannot read the memory of a guest.
        actions: seccompActions.filter((action) => action !== 'SCMP_ACT_NOTIFY'),
        operators: seccompOperators,
        archs: seccompArchitectures,
        knownFlags: seccompFlags,
        supportedFlags: seccompFlags.filter((flag) => !flag.includes('KILLABLE')),
      },
      apparmor: { enabled: false },
      selinux: { enabled: false },
      intelRdt: { enabled: false },
      mountExtensions: { idmap: { enabled: true } },
    },
    annotations: { 'dev.runts.version': version, 'dev.runts.checkpoint.enabled': 'false' },
    // Engines should not let just anybody choose the network or the kernel's traps.
    potentiallyUnsafeConfigAnnotations: ['dev.runts.'],
  };
}
