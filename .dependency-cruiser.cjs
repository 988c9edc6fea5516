// SPDX-License-Identifier: Apache-2.0
// The layers, as data: each may import only what stands above it. Imports of types count as others do: who knows a
// type of another room cannot be understood without it. Only cycles are judged without them: those matter for the order
// in which modules are loaded.
const sentryLayers = [
  'abi',
  'protocol',
  'sentry/base',
  'sentry/(mm|vfs|platform)',
  'sentry/kernel',
  'sentry/(fs|net|loader)',
  'sentry/(syscalls|strace)',
  'sentry/(host|boot)',
];

const testFile = '\\.test\\.ts$';

const looksDown = sentryLayers.slice(0, -1).map((layer, index) => ({
  name: `${layer} looks down`,
  severity: 'error',
  from: { path: `^${layer}/`, pathNot: testFile },
  to: { path: `^(${sentryLayers.slice(index + 1).join('|')})/` },
}));

/** A folder and the only folders of ours that it may import besides itself. */
const mayOnly = (folder, others) => ({
  name: `${folder} imports only ${others.join(', ') || 'itself'}`,
  severity: 'error',
  from: { path: `^${folder}/`, pathNot: testFile },
  to: {
    path: '^(abi|protocol|sentry|gofer|native|platform-ptrace|platform-kvm|runts|test|tools|bench)/',
    pathNot: `^(${[folder, ...others].join('|')})(/|$)`,
  },
});

module.exports = {
  forbidden: [
    ...looksDown,
    mayOnly('abi', []),
    mayOnly('protocol', ['abi']),
    mayOnly('native', ['abi', 'protocol']),
    mayOnly('platform-ptrace', ['abi', 'protocol', 'sentry/platform', 'sentry/base', 'native']),
    mayOnly('platform-kvm', ['abi', 'protocol', 'sentry/platform', 'sentry/base', 'native']),
    mayOnly('gofer', ['abi', 'protocol', 'native']),
    // The filters are data, printed by 'runts debug seccomp'.
    mayOnly('runts', ['abi', 'protocol', 'native', '[a-z/-]+/[a-z]+-filter.ts']),
    {
      name: 'sentry reaches the platforms, the gofer and the addon in few places',
      severity: 'error',
      from: {
        path: '^sentry/',
        pathNot: `^sentry/(boot|host|fs/(gofer|given|tmp|tty)|net/(given|host-inet|link|user))/|${testFile}`,
      },
      to: {
        path: '^(gofer|platform-ptrace|platform-kvm|runts|native)/',
        // The assembler of filters, which the kernel's own seccomp uses, needs nothing of the host.
        pathNot: '^native/seccomp/assembler\\.ts$',
      },
    },
    {
      name: 'the kernel is pure TypeScript',
      severity: 'error',
      from: {
        path: '^(abi|protocol|sentry)/',
        pathNot: `^sentry/(boot|host|fs/gofer)/|${testFile}`,
      },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'no cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(build|node_modules)/' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
  },
};
