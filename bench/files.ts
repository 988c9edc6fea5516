// SPDX-License-Identifier: Apache-2.0
// File-heavy work in OCI containers whose root is an overlay of the host's, as Docker's is:
// milliseconds, timed by bash inside. `runts do` stands beside, whose root is an overlay in the
// Sentry's memory.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { plainSpec } from '../test/oci/support/spec.ts';
import { hasRunsc, isShort, root, runsc } from './engines.ts';
import { type Figures, printTable } from './table.ts';

const FILES = Number(process.env['BENCH_FILES'] ?? (isShort ? 100 : 5000));
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? (isShort ? 1 : 2));
const REPOSITORY_FILES = isShort ? 100 : 2000;
const SMALL_FILES = isShort ? 20 : 2000;
const PACKAGES = isShort ? 5 : 300;
const CGROUP = `/bench-files-${process.pid}`;
const runts = process.env['RUNTS'] ?? join(root, 'bin/runts');

/** One step works on what the ones before it left in the working directory. */
const steps: readonly (readonly [name: string, script: string])[] = [
  [`tar x, ${FILES} files`, 'tar xf $B/tree.tar'],
  ['find -size', 'find tree -size +100k'],
  ['find -size again', 'find tree -size +100k'],
  ['cp -r', 'cp -r tree copy'],
  ['du of both', 'du -s tree copy'],
  ['rm -r', 'rm -r copy'],
  ['tar x, repository', 'tar xf $B/repo.tar'],
  [`git status, ${REPOSITORY_FILES} files`, 'git -C repo status'],
  ['git status again', 'git -C repo status'],
  [
    'git commit of 200',
    'for f in repo/d1*/f*0; do echo x >>$f; done; git -C repo commit -qam more',
  ],
  ['git checkout back', 'git -C repo checkout -q HEAD~1'],
  [`${SMALL_FILES} small files`, `python3 $B/small.py small ${SMALL_FILES}`],
  [`node_modules, ${PACKAGES}`, `python3 $B/modules.py nm ${PACKAGES}`],
  ['rm -r node_modules', 'rm -r nm'],
  ['python3, 40 imports', `python3 -W ignore -B -c 'import ${imports()}'`],
  ['make -j2, 20 C files', 'cp -r $B/make . && make -C make -s -j2'],
];

function imports(): string {
  return (
    'asyncio,argparse,ast,bz2,calendar,cgi,codecs,collections,concurrent.futures,configparser,csv,ctypes,datetime,' +
    'decimal,difflib,email.mime.text,fractions,ftplib,html.parser,http.server,imaplib,json,logging.handlers,lzma,' +
    'multiprocessing,optparse,pdb,pickle,plistlib,pydoc,random,shelve,smtplib,sqlite3,ssl,tarfile,unittest,' +
    'urllib.request,xml.dom.minidom,zipfile'
  );
}

const small = `
import os, sys
os.mkdir(sys.argv[1])
for i in range(int(sys.argv[2])):
    with open(f"{sys.argv[1]}/{i}", "w") as f:
        f.write("x" * 200)
`;

/**
 * As npm lays packages down: a directory made with its parents, files written under another name
 * and renamed, links.
 */
const modules = `
import os, sys
top = sys.argv[1]
os.makedirs(top + "/.bin")
for i in range(int(sys.argv[2])):
    package = f"{top}/package-{i}"
    for d in ("lib", "dist/esm", "test"):
        os.makedirs(f"{package}/{d}", exist_ok=True)
        for j in range(3):
            name = f"{package}/{d}/f{j}.js"
            with open(name + ".tmp", "w") as f:
                f.write("module.exports = 1;\\n" * 20)
            os.chmod(name + ".tmp", 0o644)
            os.rename(name + ".tmp", name)
    with open(package + "/package.json", "w") as f:
        f.write("{}")
    os.symlink(f"../package-{i}/lib/f0.js", f"{top}/.bin/p{i}")
`;

interface Runner {
  readonly name: string;
  run(script: string): string;
}

/** What the steps take their input from. */
function prepare(dir: string): void {
  const tree = join(dir, 'tree');
  for (let index = 0; index < FILES; index++) {
    const parent = join(tree, `d${index % 100}`, index % 3 === 0 ? 's' : '');
    mkdirSync(parent, { recursive: true });
    writeFileSync(join(parent, `f${index}`), 'some text\n'.repeat(1 + (index % 400)));
  }
  const repo = join(dir, 'repo');
  for (let index = 0; index < REPOSITORY_FILES; index++) {
    const parent = join(repo, `d${index % 40}`);
    mkdirSync(parent, { recursive: true });
    writeFileSync(join(parent, `f${index}`), `file ${index}\n`.repeat(20));
  }
  const git = (...args: string[]): void => {
    execFileSync('git', ['-C', repo, ...args]);
  };
  git('init', '-q');
  git('config', 'user.name', 'a');
  git('config', 'user.email', 'a@b');
  git('config', 'gc.auto', '0');
  git('add', '.');
  git('commit', '-q', '-m', 'all');
  for (const name of ['tree', 'repo'])
    execFileSync('tar', ['-C', dir, '-cf', join(dir, `${name}.tar`), name]);
  rmSync(tree, { recursive: true });
  rmSync(repo, { recursive: true });
  writeFileSync(join(dir, 'small.py'), small);
  writeFileSync(join(dir, 'modules.py'), modules);
  const make = join(dir, 'make');
  mkdirSync(make);
  for (let index = 0; index < 20; index++)
    writeFileSync(
      join(make, `f${index}.c`),
      `#include <stdio.h>\nint f${index}(int x) { return printf("%d", x); }\n`,
    );
  writeFileSync(
    join(make, 'Makefile'),
    'all: $(patsubst %.c,%.o,$(wildcard *.c))\n%.o: %.c\n\tgcc -O1 -c -o $@ $<\n',
  );
}

function scriptFor(input: string): string {
  const timed = steps.map(
    ([, script]) => `{ time { ${script}; } >/dev/null 2>>/tmp/bench-errors; } 2>&1`,
  );
  return [
    `export HOME=/root B=${input} TIMEFORMAT=%3R; mkdir -p /tmp/bench-work; cd /tmp/bench-work; : >/tmp/bench-errors`,
    ...timed,
    'head -c 2000 /tmp/bench-errors >&2; cd /; rm -rf /tmp/bench-work',
  ].join('\n');
}

function capture(program: string, args: readonly string[], cwd = '/'): string {
  const run = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    timeout: 600_000,
    killSignal: 'SIGKILL',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (run.stderr !== '') console.error(run.stderr.slice(0, 2000));
  if (run.status !== 0) throw new Error(`${program}: exit ${run.status ?? run.signal}`);
  return run.stdout;
}

/** An OCI runtime on a bundle whose root is an overlay over the host's root directory. */
function container(name: string, dir: string, program: string, flags: readonly string[]): Runner {
  const place = mkdtempSync(join(dir, `${name}-`));
  return {
    name,
    run(script) {
      const rootfs = mountRoot(place);
      try {
        const spec = plainSpec(rootfs, `${CGROUP}/${name}`);
        spec.process.args = ['/bin/bash', '-c', script];
        spec.annotations = JSON.parse(process.env['BENCH_ANNOTATIONS'] ?? '{}');
        writeFileSync(join(place, 'config.json'), JSON.stringify(spec));
        const id = `${name}-${process.pid}`;
        return capture(program, [
          ...flags,
          '--root',
          join(place, 'state'),
          'run',
          '--bundle',
          place,
          id,
        ]);
      } finally {
        spawnSync('umount', ['-l', rootfs]);
      }
    },
  };
}

function mountRoot(place: string): string {
  for (const name of ['upper', 'work', 'rootfs']) {
    rmSync(join(place, name), { recursive: true, force: true });
    mkdirSync(join(place, name));
  }
  const options = `lowerdir=/,upperdir=${place}/upper,workdir=${place}/work`;
  execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', options, join(place, 'rootfs')]);
  return join(place, 'rootfs');
}

function runners(dir: string): Runner[] {
  const native = mkdtempSync(join(dir, 'native-'));
  const all: Runner[] = [
    {
      name: 'native',
      run(script) {
        const rootfs = mountRoot(native);
        spawnSync('mount', ['--bind', '/dev', join(rootfs, 'dev')]);
        try {
          return capture('chroot', [rootfs, '/bin/bash', '-c', script]);
        } finally {
          spawnSync('umount', ['-l', join(rootfs, 'dev')]);
          spawnSync('umount', ['-l', rootfs]);
        }
      },
    },
    container('runsc', dir, runsc, ['--platform=systrap', '--network=none']),
    { name: 'do', run: (script) => capture(runts, ['do', '--', '/bin/bash', '-c', script]) },
    container('runts', dir, runts, []),
  ];
  // Another runts to compare with.
  const before = process.env['BENCH_BEFORE'];
  if (before !== undefined) all.splice(3, 0, container('before', dir, before, []));
  const wanted = process.env['BENCH_RUNTIMES']?.split(',');
  return all.filter(
    ({ name }) =>
      (wanted === undefined || wanted.includes(name)) && (name !== 'runsc' || hasRunsc()),
  );
}

/** The best of all rounds stays: other work on the machine only ever adds to it. */
function measure({ name, run }: Runner, script: string, figures: Figures): void {
  try {
    const times = run(script).trim().split('\n').map(Number);
    console.error(`${name}: ${times.map((seconds) => Math.round(1000 * seconds)).join(' ')}`);
    for (const [index, [step]] of steps.entries()) {
      const row = figures.get(step);
      const milliseconds = 1000 * (times[index] ?? Number.NaN);
      row?.set(name, Math.min(milliseconds, row.get(name) ?? Number.POSITIVE_INFINITY));
    }
  } catch (error) {
    console.error(`${name}: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}

export function fileBenchmarks(): void {
  const work = join(root, 'build');
  mkdirSync(work, { recursive: true });
  const dir = mkdtempSync(join(work, 'bench-files-'));
  // Where what the containers write goes: on a disk that others use too, its time is most of all times.
  const uppers = mkdtempSync(join(process.env['BENCH_UPPER'] ?? dir, 'bench-files-'));
  try {
    prepare(dir);
    const figures: Figures = new Map(steps.map(([name]) => [name, new Map()]));
    const used = runners(uppers);
    for (let round = 0; round < ROUNDS; round++)
      for (const runner of used) measure(runner, scriptFor(dir), figures);
    printTable(
      'files in containers',
      'ms',
      used.map(({ name }) => name),
      figures,
    );
  } finally {
    for (const made of [uppers, dir])
      if (existsSync(made)) rmSync(made, { recursive: true, force: true });
  }
}
