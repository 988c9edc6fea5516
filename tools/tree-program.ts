// SPDX-License-Identifier: Apache-2.0
// The compiler's view of the tree, for checks that need types.
import { dirname, join } from 'node:path';
import ts from 'typescript';

export const root = join(import.meta.dirname, '..');

/** The whole tree as tsconfig.json has it. */
export function treeProgram(): ts.Program {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { fileNames, options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  return ts.createProgram(fileNames, options);
}

/** A program of files that exist in memory only, over the compiler's own library. */
export function plantedProgram(files: ReadonlyMap<string, string>): ts.Program {
  const options: ts.CompilerOptions = {
    strict: true,
    target: ts.ScriptTarget.ESNext,
    module: ts.ModuleKind.NodeNext,
    allowImportingTsExtensions: true,
    noEmit: true,
    types: [],
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  const folders = new Set([...files.keys()].map(dirname));
  host.getSourceFile = (path, ...rest) => {
    const text = files.get(path);
    if (text === undefined) return getSourceFile.call(host, path, ...rest);
    return ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true);
  };
  host.fileExists = (path) => files.has(path) || fileExists.call(host, path);
  host.directoryExists = (path) => folders.has(path) || ts.sys.directoryExists(path);
  host.readFile = (path) => files.get(path) ?? readFile.call(host, path);
  return ts.createProgram([...files.keys()], options, host);
}
