// SPDX-License-Identifier: Apache-2.0
// Options whose value may be left out. Commander gives such an option the next word as its value, and
// that word may well be the program that was to run: `--strace PROGRAM` would overwrite it.
// Here only a value after '=' counts, as with the optional arguments of getopt_long(3).
import type { Command, Option } from 'commander';

/** Makes `command` and all below it never take the next word for a value which may be left out. */
export function attachValues(command: Command): void {
  const parse = command.parseOptions.bind(command);
  command.parseOptions = (args) => parse(withAttachedValues(args, command.options));
  for (const below of command.commands) attachValues(below);
}

/**
 * `args` with an empty value attached to each option that may have a value and was given none: for
 * commander the option is complete then. (Of `<uid[:gid]>` commander says both, required and
 * optional.) Ends at the first word that is no option, for what follows is the program's or another
 * command's.
 */
export function withAttachedValues(args: readonly string[], options: readonly Option[]): string[] {
  const words: string[] = [];
  for (let index = 0; index < args.length; index++) {
    const word = args[index] as string;
    if (word === '--' || !/^-./.test(word)) return [...words, ...args.slice(index)];
    const named = options.find(({ short, long }) => word === short || word === long);
    const option = named ?? lastOfGroup(word, options);
    const mayLack = named?.optional === true && !named.required;
    words.push(mayLack ? `${named.long}=` : word);
    // The next word is the value, whatever it looks like.
    if (option?.required === true && index + 1 < args.length) words.push(args[++index] as string);
  }
  return words;
}

/** The option of a group like `-ite` that takes the next word: the last, where none before has a value. */
function lastOfGroup(word: string, options: readonly Option[]): Option | undefined {
  if (!/^-[^-]./.test(word)) return undefined;
  const letters = [...word.slice(1)].map((letter) =>
    options.find(({ short }) => short === `-${letter}`),
  );
  const last = letters.pop();
  const isPlain = letters.every((each) => each?.required === false && !each.optional);
  return isPlain ? last : undefined;
}
