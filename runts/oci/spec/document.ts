// SPDX-License-Identifier: Apache-2.0
// A document on its way from text to a type of types.ts: how it is called in messages, and what is
// told about it.
import * as v from 'valibot';
import { Failure } from '../../failure.ts';
import { parseJson } from './json.ts';
import { UNKNOWN_PROPERTY } from './shapes.ts';

/** A problem that makes a sentence with the place before it: "process.cwd is missing". */
const isPredicate = /^(?:is|must|has|contains|needs|cannot|ends) /;

export class Document {
  /** The properties that were ignored, and why. */
  readonly warnings: string[] = [];
  readonly #path: string;

  /** `path` is what the document is called in messages: 'config.json'. */
  constructor(path: string) {
    this.#path = path;
  }

  fail(place: string, problem: string): never {
    throw new Failure('RUNTS_E_CONFIG_INVALID', this.#text(place, problem));
  }

  warn(place: string, problem: string): void {
    this.warnings.push(this.#text(place, problem));
  }

  #text(place: string, problem: string): string {
    if (place === '') return `${this.#path}: ${problem}`;
    return `${this.#path}: ${place}${isPredicate.test(problem) ? ' ' : ': '}${problem}`;
  }

  /** Parses the document. A member that is null counts as absent, as in Go's reading of JSON. */
  read(text: string): unknown {
    const value = parseJson(text, this.#path);
    if (text.includes('\\u0000')) this.#refuseNul(value, '');
    return dropNulls(value, 0);
  }

  /** NUL ends texts for the kernel: a path would be another one for it than for us. */
  #refuseNul(value: unknown, place: string): void {
    if (typeof value === 'string' && value.includes('\0'))
      this.fail(withoutDot(place), 'contains a NUL character');
    if (typeof value !== 'object' || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      if (key.includes('\0')) this.fail(withoutDot(place), 'a name contains a NUL character');
      this.#refuseNul(inner, place + step(key, Array.isArray(value)));
    }
  }

  /**
   * Checks `value` against `schema`. Unknown properties are taken out of `value`, with a warning:
   * the specification (config.md, Extensibility) wants them ignored, whatever the version.
   */
  validate<T extends v.GenericSchema>(schema: T, value: unknown): v.InferOutput<T> {
    for (;;) {
      const result = v.safeParse(schema, value, { abortEarly: true });
      if (result.success) return result.output;
      const issue = result.issues[0];
      const place = placeOf(issue);
      const last = issue.path?.at(-1);
      if (issue.message !== UNKNOWN_PROPERTY || last === undefined) this.fail(place, issue.message);
      this.warn(place, `${UNKNOWN_PROPERTY} and ignored`);
      Reflect.deleteProperty(last.input as object, last.key as string);
    }
  }
}

/** 'process.args[1]'; 'linux.sysctl["net.core.somaxconn"]'. */
function placeOf(issue: v.BaseIssue<unknown>): string {
  const steps = issue.path ?? [];
  return withoutDot(steps.map((item) => step(String(item.key), item.type === 'array')).join(''));
}

function withoutDot(place: string): string {
  return place.startsWith('.') ? place.slice(1) : place;
}

function step(key: string, isIndex: boolean): string {
  if (isIndex) return `[${key}]`;
  return /^\w{1,40}$/.test(key) ? `.${key}` : `[${JSON.stringify(key.slice(0, 80))}]`;
}

/** The depth up to which nulls are dropped. The schemas refuse what is nested deeper. */
const DEEPEST = 32;

function dropNulls(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || depth > DEEPEST) return value;
  if (Array.isArray(value)) {
    for (const element of value) dropNulls(element, depth + 1);
    return value;
  }
  for (const [key, inner] of Object.entries(value)) {
    if (inner === null) Reflect.deleteProperty(value, key);
    else dropNulls(inner, depth + 1);
  }
  return value;
}
