// SPDX-License-Identifier: Apache-2.0
// What no compiler looks at: paths named in comments and pages that are not there, tracked files
// without content, and search paths in Makefiles that anybody on the machine can write to. Each run
// first judges planted lines.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { basename, dirname, extname, join, normalize } from 'node:path';

const root = join(import.meta.dirname, '..');

/** Files that are empty for a reason. */
const emptyOnPurpose: ReadonlySet<string> = new Set();

/** Names that look like files of ours and are none, each with what they are. */
const notOurs: ReadonlyMap<string, string> = new Map([
  ['src/f3.c', 'made by the test that names it'],
  ['binfmt_elf.c', "Linux's"],
  ['hello.c', 'made by the test that names it'],
]);

/** Where Linux keeps its sources: comments cite them with their own paths. */
const linuxSource =
  /^(arch|block|Documentation|drivers|fs|include|init|ipc|kernel|lib|linux|mm|net|netfilter_ipv6|security|sys|asm|asm-generic|uapi|tools)\/[\w/.-]+\.(c|h|S|rst|txt)$/;

const sourceEndings = new Set([
  '.ts',
  '.c',
  '.h',
  '.S',
  '.sh',
  '.py',
  '.mk',
  '.cjs',
  '.lds',
  '.md',
]);

const pathPattern =
  /(?<![\w/.<@-])((?:\.{1,2}\/)*(?:[\w.-]+\/)+[\w.-]+\.(?:ts|c|h|S|md|sh|py|mk|cjs|lds))(?![\w/-])/g;
const bareName = /(?<![\w/.-])([a-z][a-z0-9_-]{2,}(?:\.test)?\.(?:ts|c))(?![\w/-])/g;

/** The comments of a file; of a page, all of it. */
function commentsOf(file: string, text: string): string {
  const blank = (part: string): string => part.replace(/[^\n]/g, ' ');
  const ending = extname(file);
  if (ending === '.md') return text.replace(/https?:\S+/g, blank);
  const pattern = ['.ts', '.cjs', '.c', '.h', '.S', '.lds'].includes(ending)
    ? /\/\*[\s\S]*?\*\/|(?<![:'"`])\/\/.*$/gm
    : /#.*$/gm;
  let comments = '';
  let end = 0;
  for (const match of text.matchAll(pattern)) {
    comments += blank(text.slice(end, match.index)) + match[0].replace(/https?:\S+/g, blank);
    end = match.index + match[0].length;
  }
  return comments;
}

/**
 * True where `path`, as `file` names it, is a tracked file: from the root, from beside `file`, or
 * as the end of a path.
 */
function isThere(path: string, file: string, tracked: readonly string[]): boolean {
  const known = new Set(tracked);
  if (known.has(normalize(path)) || known.has(join(dirname(file), path))) return true;
  const tail = `/${normalize(path).replace(/^(\.\.\/)+/, '')}`;
  return tracked.some((one) => one.endsWith(tail));
}

/** Problems with paths that the comments of `file` name. */
function missingPaths(file: string, text: string, tracked: readonly string[]): string[] {
  const problems: string[] = [];
  commentsOf(file, text)
    .split('\n')
    .forEach((line, index) => {
      const named = [...line.matchAll(pathPattern), ...line.matchAll(bareName)];
      for (const [, path = ''] of named) {
        if (linuxSource.test(path) || /^(native\/)?build\//.test(path) || notOurs.has(path))
          continue;
        // A placeholder: test/guest/NAME.c.
        if (/\b[A-Z]{2,}\b/.test(path)) continue;
        if (!isThere(path, file, tracked)) {
          problems.push(`${file}:${index + 1}: ${path} is not there`);
        }
      }
    });
  return problems;
}

/** Problems with search paths of a Makefile. */
function writableSearchPaths(file: string, text: string): string[] {
  return text.split('\n').flatMap((line, index) => {
    const found = /(?:^|[\s=:(])((?:\/var)?\/tmp|\/dev\/shm)\//.exec(line.replace(/^\s*#.*/, ''));
    return found === null
      ? []
      : [`${file}:${index + 1}: ${found[1]} can be written to by everybody: build from elsewhere`];
  });
}

function selfTest(): boolean {
  const tracked = ['a/there.ts', 'a/b/here.ts'];
  // Not written out: this file is judged too.
  const gone = ['gone', 'ts'].join('.');
  const found = [
    missingPaths('a/b/here.ts', '// see a/there.ts, ../there.ts and b/here.ts', tracked).length,
    missingPaths('a/b/here.ts', `// see a/${gone}\nconst x = 'a/${gone}'; // ${gone}`, tracked)
      .length,
    missingPaths('a/b/here.ts', '// kernel/fork.c, and https://a.org/b/c.md', tracked).length,
    writableSearchPaths('Makefile', 'X := $(wildcard /tmp/nt/include)\n# /tmp/is/fine').length,
  ];
  return found.join(' ') === '0 2 0 1';
}

if (!selfTest()) {
  console.log('check-tree: the planted lines were not judged as they should be');
  process.exit(1);
}
const listed = spawnSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' });
const files = listed.stdout.split('\0').filter((name) => name !== '');
const problems: string[] = files.length === 0 ? ['git lists no files'] : [];
for (const file of files) {
  let text = '';
  try {
    text = readFileSync(join(root, file), 'utf8');
  } catch {
    continue; // Removed and not committed yet.
  }
  if (text === '' && !emptyOnPurpose.has(file)) problems.push(`${file} is empty`);
  if (sourceEndings.has(extname(file)) || basename(file) === 'Makefile') {
    problems.push(...missingPaths(file, text, files));
  }
  if (extname(file) === '.mk' || basename(file) === 'Makefile') {
    problems.push(...writableSearchPaths(file, text));
  }
}
for (const problem of problems) console.log(problem);
if (problems.length > 0) process.exit(1);
