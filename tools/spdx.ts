// SPDX-License-Identifier: Apache-2.0
// The licence of a source file as its first line says it: https://spdx.dev/learn/handling-license-info/.

const LINE = 'SPDX-License-Identifier: Apache-2.0';

type Style = (text: string) => string;

const slashes: Style = (text) => `// ${text}`;
const stars: Style = (text) => `/* ${text} */`;
const hash: Style = (text) => `# ${text}`;

/**
 * How a line of comment is written, by the ending of a file's name. Linux has the same for C and
 * its headers.
 */
const styles: Readonly<Record<string, Style>> = {
  ts: slashes,
  cjs: slashes,
  c: slashes,
  h: stars,
  S: stars,
  lds: stars,
  sh: hash,
  py: hash,
  mk: hash,
};

/** Undefined: not a source file. A script without an ending is known by its first line. */
function styleOf(path: string, text: string): Style | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (name === 'Makefile') return hash;
  const dot = name.lastIndexOf('.');
  if (dot > 0) return styles[name.slice(dot + 1)];
  return /^#!.*\b(sh|bash|python3?)\b/.test(text) ? hash : undefined;
}

/** Whether a line is missing; false also for what is no source file. */
export function lacksLicence(path: string, text: string): boolean {
  const style = styleOf(path, text);
  if (style === undefined) return false;
  const [first, second] = text.split('\n', 2);
  return (first?.startsWith('#!') === true ? second : first) !== style(LINE);
}

/** The text with the line: first, or right below what the kernel reads (`#!`). */
export function withLicence(path: string, text: string): string {
  const style = styleOf(path, text);
  if (style === undefined || !lacksLicence(path, text)) return text;
  const end = text.startsWith('#!') ? text.indexOf('\n') + 1 : 0;
  return `${text.slice(0, end)}${style(LINE)}\n${text.slice(end)}`;
}
