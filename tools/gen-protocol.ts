// SPDX-License-Identifier: Apache-2.0
// Writes native/build/protocol.h: what C is to know of the contracts in protocol/. Exports with
// names in capitals are constants there too, objects by the names of their members (SLOT.faultAddr
// is SLOT_FAULT_ADDR); the launcher's options become a table. native/Makefile runs it where
// protocol/ has changed.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { signalNames } from '../abi/signal.ts';
import * as broker from '../protocol/broker.ts';
import * as controlTexts from '../protocol/control-texts.ts';
import * as descriptors from '../protocol/descriptors.ts';
import * as launcher from '../protocol/launcher-options.ts';
import * as links from '../protocol/links.ts';
import * as mailbox from '../protocol/mailbox.ts';
import * as nursery from '../protocol/nursery.ts';
import * as orders from '../protocol/orders.ts';
import * as processDefaults from '../protocol/process-defaults.ts';
import * as processes from '../protocol/processes.ts';
import * as proxy from '../protocol/proxy.ts';
import * as singleFile from '../protocol/single-file.ts';
import * as stateFiles from '../protocol/state-files.ts';
import * as status from '../protocol/status.ts';
import { capabilityNames, rlimitNames } from '../runts/oci/spec/names.ts';

const target = join(import.meta.dirname, '../native/build/protocol.h');

/** With the names of their files. */
const modules: readonly (readonly [file: string, exported: object])[] = [
  ['broker', broker],
  ['control-texts', controlTexts],
  ['descriptors', descriptors],
  ['launcher-options', launcher],
  ['links', links],
  ['mailbox', mailbox],
  ['nursery', nursery],
  ['orders', orders],
  ['process-defaults', processDefaults],
  ['processes', processes],
  ['proxy', proxy],
  ['single-file', singleFile],
  ['state-files', stateFiles],
  ['status', status],
];

/** A name in capitals of one like 'faultAddr'. */
function capitals(name: string): string {
  return name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll('-', '_')
    .toUpperCase();
}

/** JSON's strings are C's, but for \u and what a compiler could take for a trigraph. */
function cString(text: string): string {
  const quoted = JSON.stringify(text);
  if (/\\u|\?\?/.test(quoted)) throw new Error(`no text for C: ${quoted}`);
  return quoted;
}

function define(name: string, value: number | string): string {
  if (typeof value === 'string') return `#define ${name} ${cString(value)}`;
  // Addresses are calculated with; all other numbers are compared with members of type int.
  if (name.startsWith('STUB_')) return `#define ${name} 0x${value.toString(16)}UL`;
  if (!Number.isInteger(value) || value < 0 || value > 0x7fff_ffff)
    throw new Error(`${name}: ${value} is no int of C`);
  return `enum { ${name} = ${value} };`;
}

function constants(exported: object): string[] {
  return Object.entries(exported).flatMap(([name, value]: [string, unknown]) => {
    if (!/^[A-Z][A-Z0-9_]*$/.test(name)) return [];
    if (typeof value === 'number' || typeof value === 'string') return [define(name, value)];
    return Object.entries(value as Readonly<Record<string, number | string>>).map(
      ([member, inner]) => define(`${name}_${capitals(member)}`, inner),
    );
  });
}

/** All ways to show an attach point; a new overlay has nothing below it, and follows nobody. */
function attachModes(): launcher.AttachMode[] {
  const ways = [false, true].flatMap((flat) =>
    [false, true].map((slave) => ({ flat, slave, overlay: false })),
  );
  ways.push({ flat: false, slave: false, overlay: true });
  return [false, true].flatMap((writable) => ways.map((way) => ({ writable, ...way })));
}

/** The rows of one option: KIND("--name", what its kind needs). */
function rows(name: string, option: launcher.LauncherOption): string[] {
  const quoted = cString(`--${name}`);
  switch (option.kind) {
    case 'mode':
      return [`MODE(${quoted}, ${option.field}, ${option.mode})`];
    case 'number':
      return [`NUMBER(${quoted}, ${option.field}, ${option.most ?? 0})`];
    case 'list': {
      const { field, count, what } = option;
      return [`LIST(${quoted}, ${field}, ${count}, ${cString(what)})`];
    }
    case 'attach':
      return attachModes().map((mode) => {
        const { writable, flat, slave, overlay } = mode;
        const values = [writable, flat, slave, overlay].map(String).join(', ');
        return `ATTACH("--${launcher.attachOption(mode)}", ${values})`;
      });
    default:
      return [`${option.kind.toUpperCase()}(${quoted}, ${option.field})`];
  }
}

function optionTable(): string[] {
  const options: [string, launcher.LauncherOption][] = Object.entries(launcher.launcherOptions);
  const own = options.filter(([, option]) => option.kind === 'text' && option.own === true);
  return [
    ...own.map(([name]) => define(`OPTION_${capitals(name)}`, `--${name}`)),
    '#define LAUNCHER_OPTIONS(TEXT, DESCRIPTOR, NUMBER, FLAG, MODE, LIST, ATTACH) \\',
    `${options.flatMap(([name, option]) => rows(name, option).map((row) => `  ${row}`)).join(' \\\n')}`,
  ];
}

/** Elements of an array. */
function names(macro: string, list: readonly string[]): string {
  return `#define ${macro} ${list.map(cString).join(', ')}`;
}

function render(): string {
  return [
    '/* Made by tools/gen-protocol.ts of the files in protocol/, which say what all this is: do not edit. */',
    '#ifndef RUNTS_PROTOCOL_H',
    '#define RUNTS_PROTOCOL_H',
    ...modules.flatMap(([file, exported]) => [
      '',
      `/* protocol/${file}.ts */`,
      ...constants(exported),
    ]),
    '',
    ...optionTable(),
    '',
    '/* runts/oci/spec/names.ts, abi/signal.ts: the index is the number, of SIGNAL_NAMES the number less 1. */',
    names('CAPABILITY_NAMES', capabilityNames),
    names('RLIMIT_NAMES', rlimitNames),
    names('SIGNAL_NAMES', signalNames.slice(1, 32)),
    '',
    '#endif',
    '',
  ].join('\n');
}

// What has not changed keeps its time, for make.
const header = render();
if (!existsSync(target) || readFileSync(target, 'utf8') !== header) {
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, header);
}
