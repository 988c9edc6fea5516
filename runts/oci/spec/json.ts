// SPDX-License-Identifier: Apache-2.0
// JSON.parse, with what it lacks here: the line and column of an error, and integers above 2^53 as bigints.
// ECMA-404; V8 tells the place of some errors only.
import { Failure } from '../../failure.ts';

/** `path` is what the text is called in messages. */
export function parseJson(text: string, path: string): unknown {
  try {
    return hasLongNumber.test(text) ? JSON.parse(text, exactInteger) : JSON.parse(text);
  } catch {
    const { offset, problem } = new Scanner(text).findError();
    const before = text.slice(0, offset);
    const line = before.split('\n').length;
    const column = offset - before.lastIndexOf('\n');
    throw new Failure(
      'RUNTS_E_CONFIG_JSON',
      `${path}:${line}:${column}: not valid JSON: ${problem}`,
    );
  }
}

/** 16 digits may be more than a number holds; found in a text, they cost some time and nothing else. */
const hasLongNumber = /[:,[\s]-?\d{16}/;
/** 64 bits; what is longer is out of any range, exact or not. */
const LONGEST_INTEGER = 20;

function exactInteger(
  _key: string,
  value: unknown,
  context?: { readonly source?: string },
): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  const source = context?.source ?? '';
  return source.length <= LONGEST_INTEGER && /^-?\d+$/.test(source) ? BigInt(source) : value;
}

interface JsonError {
  readonly offset: number;
  readonly problem: string;
}

const literals = /(?:true|false|null)/y;
const numbers = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/y;
const spaces = /[ \t\n\r]*/y;
const strings = /"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*/y;

/** Walks over a text that JSON.parse refused, up to the first thing that does not belong there. */
class Scanner {
  readonly #text: string;
  #at = 0;
  /** The closing brackets of the objects and arrays that are open. */
  readonly #open: string[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  findError(): JsonError {
    let isValueWanted = true;
    for (;;) {
      const problem: string | undefined = isValueWanted ? this.#value() : this.#afterValue();
      if (problem !== undefined) return { offset: this.#at, problem };
      isValueWanted = this.#isValueNext;
    }
  }

  #isValueNext = true;

  /** A scalar, or the start of an array or object. */
  #value(): string | undefined {
    const char = this.#peek();
    this.#isValueNext = false;
    if (char === '"') return this.#string();
    if (char === '{') return this.#enter('}');
    if (char === '[') return this.#enter(']');
    if (this.#skip(numbers) || this.#skip(literals)) return undefined;
    return this.#expected('a value');
  }

  #enter(end: string): string | undefined {
    this.#at += 1;
    if (this.#peek() === end) {
      this.#at += 1;
      return undefined;
    }
    this.#open.push(end);
    this.#isValueNext = true;
    return end === '}' ? this.#name() : undefined;
  }

  #name(): string | undefined {
    if (this.#peek() !== '"') return this.#expected('a name in double quotes');
    const problem = this.#string();
    if (problem !== undefined) return problem;
    if (this.#peek() !== ':') return this.#expected("':'");
    this.#at += 1;
    return undefined;
  }

  #afterValue(): string | undefined {
    const char = this.#peek();
    const end = this.#open.at(-1);
    if (end === undefined) return this.#expected('the end');
    if (char === end) {
      this.#open.pop();
      this.#at += 1;
      return undefined;
    }
    if (char !== ',') return this.#expected(`',' or '${end}'`);
    this.#at += 1;
    this.#isValueNext = true;
    return end === '}' ? this.#name() : undefined;
  }

  #string(): string | undefined {
    this.#skip(strings);
    const char = this.#text.charAt(this.#at);
    if (char === '"') {
      this.#at += 1;
      return undefined;
    }
    if (char === '') return 'a string does not end';
    if (char === '\\') return 'a string has an unknown escape';
    return 'a string has a line break or another control character';
  }

  #expected(what: string): string {
    const char = this.#peek();
    return `expected ${what}, ${char === '' ? 'but the text ends' : `got '${char}'`}`;
  }

  /** The next char after white space; '' at the end. */
  #peek(): string {
    this.#skip(spaces);
    return String.fromCodePoint(...this.#codePoint());
  }

  #codePoint(): number[] {
    const code = this.#text.codePointAt(this.#at);
    return code === undefined ? [] : [code];
  }

  #skip(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    const length = pattern.exec(this.#text)?.[0].length ?? 0;
    this.#at += length;
    return length > 0;
  }
}
