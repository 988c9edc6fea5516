// SPDX-License-Identifier: Apache-2.0
// Finds comments in TypeScript and C, and reflows those whose lines are too long (check-comments.ts).
import ts from 'typescript';

/**
 * Columns that a reflowed comment fills at most. Code is held to the same width by biome and
 * clang-format.
 */
const WIDTH = 100;
/**
 * A comment line may be this long before it has to be reflowed: a small change need not move every
 * line after it.
 */
const LONGEST_LINE = 110;
/** A line that begins so starts a paragraph of its own. */
const DEVIATION = 'Differs from ';

export interface Comment {
  /** Offset of the first and behind the last character, markers included. */
  readonly start: number;
  readonly end: number;
}

/** A run of lines that hold nothing but one comment (or successive ones of the kind `//`). */
interface Block {
  readonly first: number;
  readonly last: number;
}

/**
 * A piece of a comment's text: `isFixed` where its line breaks have a meaning (tables, lists of
 * files, code).
 */
interface Paragraph {
  readonly words: string[];
  readonly lines: string[];
  readonly isFixed: boolean;
  /** What the second and later lines of a list item are indented by. */
  readonly hang: string;
}

/** Returns every comment of `text`; strings, templates and regular expressions are no comments. */
export function findComments(file: string, text: string): Comment[] {
  const comments: Comment[] = [];
  const literals = file.endsWith('.ts') ? literalsOf(file, text) : [];
  const pattern = file.endsWith('.ts')
    ? /\/\/[^\n]*|\/\*[\s\S]*?\*\//g
    : /"(?:\\[\s\S]|[^"\\\n])*"|'(?:\\[\s\S]|[^'\\\n])*'|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;
  let next = 0;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    const start = match.index;
    while (next < literals.length && (literals[next]?.end ?? 0) <= start) next += 1;
    const literal = literals[next];
    if (literal !== undefined && literal.start <= start) pattern.lastIndex = literal.end;
    else if (match[0].startsWith('/')) comments.push({ start, end: start + match[0].length });
  }
  return comments;
}

function literalsOf(file: string, text: string): Comment[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest);
  const literals: Comment[] = [];
  const visit = (node: ts.Node): void => {
    const isLiteral =
      node.kind >= ts.SyntaxKind.FirstLiteralToken && node.kind <= ts.SyntaxKind.LastTemplateToken;
    if (isLiteral) literals.push({ start: node.getStart(source), end: node.end });
    else ts.forEachChild(node, visit);
  };
  visit(source);
  return literals.sort((a, b) => a.start - b.start);
}

/** Returns the numbers (from 1 on) of lines that are too long because of a comment on them. */
export function longLines(file: string, text: string): number[] {
  const lines = text.split('\n');
  const found: number[] = [];
  for (const { start, end } of findComments(file, text)) {
    const from = lineOf(text, start);
    for (let number = from; number <= lineOf(text, end); number += 1)
      if (isTooLong(lines[number] ?? '')) found.push(number + 1);
  }
  return [...new Set(found)];
}

/** A directive to a tool must stay on one line, and a long word (an address) cannot be broken. */
function isTooLong(line: string): boolean {
  if (line.length <= LONGEST_LINE || /biome-ignore|@ts-expect-error/.test(line)) return false;
  return line.split(/\s+/).every((word) => word.length < WIDTH - 20);
}

/** Returns `text` with the paragraphs of comments that have a line too long filled anew. */
export function reflow(file: string, text: string): string {
  const lines = text.split('\n');
  for (const block of blocksOf(file, text, lines).reverse()) {
    const old = lines.slice(block.first, block.last + 1);
    if (old.some(isTooLong)) lines.splice(block.first, old.length, ...reflowBlock(old));
  }
  return lines.join('\n');
}

function blocksOf(file: string, text: string, lines: readonly string[]): Block[] {
  const blocks: Block[] = [];
  for (const { start, end } of findComments(file, text)) {
    const first = lineOf(text, start);
    const last = lineOf(text, end);
    const column = start - (text.lastIndexOf('\n', start - 1) + 1);
    const isAlone =
      (lines[first] ?? '').slice(0, column).trim() === '' &&
      /^[ \t]*(?:\n|$)/.test(text.slice(end));
    if (!isAlone) continue;
    const before = blocks.at(-1);
    const isLine = text.startsWith('//', start);
    const joins =
      isLine &&
      before?.last === first - 1 &&
      (lines[before.last] ?? '').startsWith(`${' '.repeat(column)}//`);
    if (joins && before !== undefined) blocks[blocks.length - 1] = { first: before.first, last };
    else blocks.push({ first, last });
  }
  return blocks;
}

function lineOf(text: string, offset: number): number {
  let line = 0;
  for (let at = text.indexOf('\n'); at >= 0 && at < offset; at = text.indexOf('\n', at + 1))
    line += 1;
  return line;
}

function reflowBlock(lines: readonly string[]): string[] {
  const [first = ''] = lines;
  const indent = first.slice(0, first.length - first.trimStart().length);
  const isLine = first.trimStart().startsWith('//');
  const opening = first.trimStart().startsWith('/**') ? '/**' : '/*';
  const prefix = `${indent}${isLine ? '//' : ' *'}`;
  const filled = paragraphsOf(contentOf(lines, isLine, opening)).flatMap((paragraph) =>
    fill(paragraph, WIDTH - prefix.length - 1).map((line) => `${prefix} ${line}`.trimEnd()),
  );
  return isLine ? filled : [`${indent}${opening}`, ...filled, `${indent} */`];
}

/** Returns the lines of a comment without its markers. */
function contentOf(lines: readonly string[], isLine: boolean, opening: string): string[] {
  if (isLine) return lines.map((line) => line.trimStart().replace(/^\/\/ ?/, ''));
  const content = lines.map((line, index) => {
    let rest = line.trimStart();
    if (index === 0) rest = rest.slice(opening.length).replace(/^ /, '');
    else rest = rest.replace(/^\*(?!\/) ?/, '');
    return index === lines.length - 1 ? rest.replace(/ ?\*\/\s*$/, '') : rest;
  });
  if (content[0]?.trim() === '') content.shift();
  if (content.at(-1)?.trim() === '') content.pop();
  return content;
}

function paragraphsOf(content: readonly string[]): Paragraph[] {
  const paragraphs: Paragraph[] = [];
  for (const line of content) {
    const before = paragraphs.at(-1);
    const [item = ''] = /^(?:[-*] |\d+\. )/.exec(line) ?? [];
    const text = before?.hang !== '' && before !== undefined ? line.trimStart() : line;
    const isNew = item !== '' || text.startsWith(DEVIATION);
    const isFixed = item === '' && /^$|^ {2}|^[|@]|^SPDX-|^-{3}|\S {3}|\t/.test(text);
    if (!isFixed && !isNew && before !== undefined && !before.isFixed) {
      before.words.push(...wordsOf(line));
      before.lines.push(line);
    } else {
      paragraphs.push({
        words: wordsOf(line),
        lines: [line],
        isFixed,
        hang: ' '.repeat(item.length),
      });
    }
  }
  return paragraphs;
}

/** Splits a line into words. The mark of a deviation stays whole, so that grep(1) finds it. */
function wordsOf(line: string): string[] {
  const parts = line.trim().split(new RegExp(`(?<=^| )(${DEVIATION}\\S+)`));
  return parts
    .flatMap((part) => (part.startsWith(DEVIATION) ? [part] : part.split(' ')))
    .filter((word) => word !== '');
}

function fill({ words, lines, isFixed, hang }: Paragraph, width: number): string[] {
  if (isFixed || lines.every((old) => old.length <= width)) return lines;
  const filled: string[] = [];
  let line = '';
  for (const word of words) {
    if (line !== '' && line.length + 1 + word.length > width) {
      filled.push(line);
      line = `${hang}${word}`;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...filled, line];
}
