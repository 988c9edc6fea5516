// SPDX-License-Identifier: Apache-2.0
// From the text of a document to a checked object; README.md here tells what is refused, and what
// is ignored with a warning.
import { Document } from './document.ts';
import { checkSpec } from './rules.ts';
import { checkProcess } from './rules-process.ts';
import { checkResources } from './rules-resources.ts';
import { specSchema } from './schema.ts';
import { processSchema } from './schema-process.ts';
import { resourcesSchema } from './schema-resources.ts';
import type { Process, Resources, Spec } from './types.ts';
import { checkVersion, NEWEST_VERSION } from './version.ts';

/** Properties of a document that were ignored, and why, for the log. */
interface Warnings {
  readonly warnings: readonly string[];
}

/** config.json. `path` is what it is called in messages. */
export function parseSpec(text: string, path: string): { readonly spec: Spec } & Warnings {
  const document = new Document(path);
  const value = document.read(text);
  dropOtherPlatforms(value);
  checkVersion(versionOf(value), document);
  const spec = checkSpec(document.validate(specSchema, value), document);
  return { spec, warnings: document.warnings };
}

/** process.json of `runts exec`. */
export function parseProcess(text: string, path: string): { readonly process: Process } & Warnings {
  const document = new Document(path);
  const value = document.validate(processSchema, document.read(text));
  return { process: checkProcess(value, '', document), warnings: document.warnings };
}

/** The resources of `runts update`. */
export function parseResources(
  text: string,
  path: string,
): { readonly resources: Resources } & Warnings {
  const document = new Document(path);
  const value = document.validate(resourcesSchema, document.read(text));
  return { resources: checkResources(value, '', document), warnings: document.warnings };
}

/** Where there is none, the schema complains of that. */
function versionOf(value: unknown): string {
  const version = isObject(value) ? value['ociVersion'] : undefined;
  return typeof version === 'string' ? version : NEWEST_VERSION;
}

/** The specification lets a document have parts for other platforms. */
const otherPlatforms = ['windows', 'solaris', 'vm', 'zos', 'freebsd'];

function dropOtherPlatforms(value: unknown): void {
  if (!isObject(value)) return;
  for (const name of otherPlatforms) delete value[name];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
