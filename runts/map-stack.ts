// SPDX-License-Identifier: Apache-2.0
// Places in the bundles (build/sentry.body.js:82:3837) as places in the source, by the source maps
// that lie beside the bundles. A process of a sandbox cannot do that itself: it sees no file once
// it is confined. So it logs its own places, and they are translated here, outside, when somebody
// looks.
import { readFileSync } from 'node:fs';
import type { SourceMap, SourceMapPayload } from 'node:module';
import { basename, join, relative } from 'node:path';

/** A place in a bundle, under whatever folder the process saw it ('/app' in a sandbox). */
const bundledPlace =
  /(?:file:\/\/)?[\w./-]*\/((?:cli|sentry|gofer|preboot)(?:\.body\.js|\.cjs)):(\d+):(\d+)/g;

/**
 * `text` with its places in bundles translated, by the maps in `build`; those without a map stay as
 * they are.
 */
export function mapStack(text: string, build: string): string {
  const maps = new Map<string, SourceMap | undefined>();
  return text.replace(
    bundledPlace,
    (place: string, bundle: string, line: string, column: string) => {
      if (!maps.has(bundle)) maps.set(bundle, readMap(join(build, `${bundle}.map`)));
      return sourcePlace(maps.get(bundle), build, Number(line), Number(column)) ?? place;
    },
  );
}

interface Source {
  readonly path: string;
  /** From 0, as V8 counts in profiles. */
  readonly lineNumber: number;
  readonly columnNumber: number;
  /** The source's name of what stands there, where the map has one. */
  readonly name: string | undefined;
}

/** Finds what a place of a bundle is in the source, by the maps in `build`. Lines and columns from 0. */
export function sourceOf(
  build: string,
): (url: string, lineNumber: number, columnNumber: number) => Source | undefined {
  const maps = new Map<string, SourceMap | undefined>();
  return (url, lineNumber, columnNumber) => {
    const bundle = basename(url);
    if (!/^(?:cli|sentry|gofer|preboot)\.(?:body\.js|cjs)$/.test(bundle)) return undefined;
    if (!maps.has(bundle)) maps.set(bundle, readMap(join(build, `${bundle}.map`)));
    const entry = maps.get(bundle)?.findEntry(lineNumber, columnNumber);
    if (entry === undefined || !('originalSource' in entry)) return undefined;
    return {
      path: join(build, entry.originalSource),
      lineNumber: entry.originalLine,
      columnNumber: entry.originalColumn,
      // Node has the field and its types do not: the name in the source of what stands there.
      name: (entry as { readonly name?: string }).name,
    };
  };
}

function readMap(path: string): SourceMap | undefined {
  // Not imported: the command line's start must not pay for the module.
  const { SourceMap: ReadMap } = process.getBuiltinModule('node:module');
  try {
    return new ReadMap(JSON.parse(readFileSync(path, 'utf8')) as SourceMapPayload);
  } catch {
    return undefined;
  }
}

/** Undefined: what stands there comes from no source, as the wrapper around a bundle. */
function sourcePlace(
  map: SourceMap | undefined,
  build: string,
  line: number,
  column: number,
): string | undefined {
  // Stacks count from 1, maps from 0.
  const entry = map?.findEntry(line - 1, column - 1);
  if (entry === undefined || !('originalSource' in entry)) return undefined;
  const source = relative(join(build, '..'), join(build, entry.originalSource));
  return `${source}:${entry.originalLine + 1}:${entry.originalColumn + 1}`;
}

/** The folder of the bundle that runs; from source there is nothing to be translated. */
export function mapOwnStack(stack: string): string {
  return basename(import.meta.filename).endsWith('.ts')
    ? stack
    : mapStack(stack, import.meta.dirname);
}
