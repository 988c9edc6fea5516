// SPDX-License-Identifier: Apache-2.0
// Docker's daemon.json with and without our runtime (dockerd(8), "runtimes"). All else in it stays
// as it is: the order, numbers of any length, and the indentation.
import { basename } from 'node:path';
import { Failure } from '../failure.ts';
import { parseJson } from '../oci/spec/json.ts';

export interface Registration {
  /** The name in `docker run --runtime`. */
  readonly name: string;
  /** The executable that dockerd starts. */
  readonly path: string;
  /** Options before the verb that containers of this runtime are to have: '--network', 'host'. */
  readonly args: readonly string[];
}

type Members = Record<string, unknown>;

/** The new text, or undefined where the runtime is there already. `file` is what messages call it. */
export function register(
  text: string,
  file: string,
  { name, path, args }: Registration,
): string | undefined {
  const config = parse(text, file);
  const runtimes = runtimesOf(config, file) ?? {};
  const entry = entryOf(runtimes, name, file);
  if (entry !== undefined && !isOurs(entry, path))
    throw new Failure(
      'RUNTS_E_INSTALL_CONFLICT',
      `${file}: runtimes.${name} is another runtime: ${describeEntry(entry)}`,
    );
  const before = argumentsOf(entry, `${file}: runtimes.${name}`);
  const after = withOptions(before, args);
  if (entry?.['path'] === path && before.join('\0') === after.join('\0')) return undefined;
  runtimes[name] = { ...entry, path, ...(after.length === 0 ? {} : { runtimeArgs: after }) };
  config['runtimes'] = runtimes;
  return write(config, text);
}

/** The new text, or undefined where there is nothing of ours. */
export function unregister(
  text: string,
  file: string,
  { name, path }: Registration,
): string | undefined {
  const config = parse(text, file);
  const runtimes = runtimesOf(config, file);
  const entry = runtimes === undefined ? undefined : entryOf(runtimes, name, file);
  if (runtimes === undefined || entry === undefined) return undefined;
  if (!isOurs(entry, path))
    throw new Failure(
      'RUNTS_E_INSTALL_CONFLICT',
      `${file}: runtimes.${name} is not ours: ${describeEntry(entry)}`,
    );
  // dockerd does not start where its default is missing.
  if (config['default-runtime'] === name)
    throw new Failure(
      'RUNTS_E_INSTALL_CONFLICT',
      `${file}: ${name} is the default-runtime; take that away first`,
    );
  delete runtimes[name];
  if (Object.keys(runtimes).length === 0) delete config['runtimes'];
  return write(config, text);
}

/** Numbers keep their text: JSON.parse alone would round those that a double does not hold. */
function parse(text: string, file: string): Members {
  if (text.trim() === '') return {};
  parseJson(text, file);
  const config: unknown = JSON.parse(text, (_key, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' && context?.source !== undefined ? raw(context.source) : value,
  );
  return asMembers(config, file);
}

/** TypeScript does not know them yet. */
const { rawJSON: raw, isRawJSON: isRaw } = JSON as unknown as {
  readonly rawJSON: (text: string) => unknown;
  readonly isRawJSON: (value: unknown) => boolean;
};

function asMembers(value: unknown, what: string): Members {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || isRaw(value))
    throw new Failure('RUNTS_E_INSTALL_CONFIG', `${what}: expected an object`);
  return value as Members;
}

function runtimesOf(config: Members, file: string): Members | undefined {
  const runtimes = config['runtimes'];
  return runtimes === undefined ? undefined : asMembers(runtimes, `${file}: runtimes`);
}

function entryOf(runtimes: Members, name: string, file: string): Members | undefined {
  if (!Object.hasOwn(runtimes, name)) return undefined;
  return asMembers(runtimes[name], `${file}: runtimes.${name}`);
}

function argumentsOf(entry: Members | undefined, what: string): string[] {
  const list = entry?.['runtimeArgs'] ?? [];
  if (Array.isArray(list) && list.every((one) => typeof one === 'string')) return list;
  throw new Failure('RUNTS_E_INSTALL_CONFIG', `${what}.runtimeArgs: expected a list of strings`);
}

/** Options with a value, in pairs: those of `added` take the place of earlier ones of their name. */
function withOptions(before: readonly string[], added: readonly string[]): string[] {
  const names = added.filter((_word, index) => index % 2 === 0);
  const kept = before.filter((word, index) => {
    const previous = before[index - 1] ?? '';
    return !names.some((name) => word === name || previous === name || word.startsWith(`${name}=`));
  });
  return [...kept, ...added];
}

/** The same executable, or an earlier place of it. */
function isOurs(entry: Members, path: string): boolean {
  const theirs = entry['path'];
  return theirs === path || (typeof theirs === 'string' && basename(theirs) === 'runts');
}

function describeEntry(entry: Members): string {
  return JSON.stringify(entry['path'] ?? entry['runtimeType'] ?? entry);
}

function write(config: Members, before: string): string {
  const indent = /^([ \t]+)"/m.exec(before)?.[1] ?? '  ';
  return `${JSON.stringify(config, undefined, indent)}\n`;
}
