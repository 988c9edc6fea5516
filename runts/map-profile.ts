// SPDX-License-Identifier: Apache-2.0
// A CPU profile of the Sentry, as V8 writes it: its names and places are those of the minified
// bundle, and are translated here, outside the sandbox, by the source maps that lie beside the
// bundles.
import type { Profiler } from 'node:inspector';
import { pathToFileURL } from 'node:url';
import { sourceOf } from './map-stack.ts';

type Node = Profiler.ProfileNode;

/** The first function that the Sentry calls of the addon (native/baseline-compiler.ts). */
const ADDON_FUNCTION = 'setEngineFlags';

/**
 * Samples that no handler has: the Sentry's own work, and its waits for guests and for whatever
 * comes next.
 */
const OUTSIDE = 'outside of calls';
const WAITING = 'waiting for guests, or idle';

/** The same profile with the source's names and places. What no map knows stays as it is. */
export function mapProfile(profile: Profiler.Profile, build: string): Profiler.Profile {
  const find = sourceOf(build);
  const nodes = profile.nodes.map((node) => {
    const { url, lineNumber, columnNumber, functionName } = node.callFrame;
    const source = find(url, lineNumber, columnNumber);
    if (source === undefined) return node;
    const callFrame = {
      ...node.callFrame,
      functionName: functionName === '' ? '' : (source.name ?? functionName),
      url: pathToFileURL(source.path).href,
      lineNumber: source.lineNumber,
      columnNumber: source.columnNumber,
    };
    return { ...node, callFrame };
  });
  return { ...profile, nodes: withNamedHostCalls(nodes) };
}

/**
 * V8 gives all functions of the addon the name of the first of them: here each has the name of its caller
 * instead, which tells a copy of guest memory from a wait for the Gofer.
 */
function withNamedHostCalls(nodes: readonly Node[]): Node[] {
  const callers = new Map(nodes.flatMap((node) => node.children?.map((id) => [id, node]) ?? []));
  return nodes.map((node) => {
    const { callFrame, id } = node;
    const caller = callers.get(id)?.callFrame;
    if (callFrame.functionName !== ADDON_FUNCTION || callFrame.url !== '' || caller === undefined)
      return node;
    const functionName = `host call of ${caller.functionName}`;
    const { url, lineNumber, columnNumber } = caller;
    return { ...node, callFrame: { ...callFrame, functionName, url, lineNumber, columnNumber } };
  });
}

/** Microseconds that each function ran itself, by name and place. */
export function timesByFunction(profile: Profiler.Profile): Map<string, number> {
  const names = new Map(profile.nodes.map((node) => [node.id, nameOf(node)]));
  return sumBy(profile, (id) => names.get(id) ?? '?');
}

/** Microseconds in each system call: of the innermost handler that a sample was in. */
export function timesByCall(profile: Profiler.Profile): Map<string, number> {
  const calls = new Map<number, string>();
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const visit = (node: Node, above: string): void => {
    const call = handlerName(node) ?? (isWait(node) ? WAITING : above);
    calls.set(node.id, call);
    for (const id of node.children ?? []) {
      const child = byId.get(id);
      if (child !== undefined) visit(child, call);
    }
  };
  const [top] = profile.nodes;
  if (top !== undefined) visit(top, OUTSIDE);
  return sumBy(profile, (id) => calls.get(id) ?? OUTSIDE);
}

/** Handlers are functions `sysName` of sentry/syscalls. */
function handlerName({ callFrame: { functionName, url } }: Node): string | undefined {
  if (!url.includes('/sentry/syscalls/')) return undefined;
  const [, name] = /^sys([A-Z]\w*)$/.exec(functionName) ?? [];
  return name?.replace(/(?<=[a-z])[A-Z]/g, (letter) => `_${letter}`).toLowerCase();
}

function isWait({ callFrame: { functionName, url } }: Node): boolean {
  return functionName.startsWith('host call of ') && url.endsWith('/systrap/waiter.ts');
}

function nameOf({ callFrame: { functionName, url, lineNumber } }: Node): string {
  const place =
    /(?:abi|gofer|native|platform-ptrace|protocol|sentry)\/[^:]*$/.exec(url)?.[0] ?? url;
  const name = functionName === '' ? '(anonymous)' : functionName;
  return url === '' ? name : `${name} (${place}:${lineNumber + 1})`;
}

function sumBy(
  { samples = [], timeDeltas = [] }: Profiler.Profile,
  keyOf: (id: number) => string,
): Map<string, number> {
  const times = new Map<string, number>();
  for (const [index, id] of samples.entries()) {
    const key = keyOf(id);
    times.set(key, (times.get(key) ?? 0) + (timeDeltas[index] ?? 0));
  }
  return times;
}
