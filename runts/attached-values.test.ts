// SPDX-License-Identifier: Apache-2.0
import { Command, type Option } from 'commander';
import { describe, expect, it } from 'vitest';
import { withAttachedValues } from './attached-values.ts';
import { newProgram } from './cli.ts';

function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}

describe('a value that may be left out', () => {
  const command = new Command('x')
    .option('-a, --all')
    .option('-n, --name <name>')
    .option('--trace [file]');
  const attached = (...words: string[]): string[] => withAttachedValues(words, command.options);

  it.each([
    [
      ['--trace', './script'],
      ['--trace=', './script'],
    ],
    [
      ['--trace=f', './script'],
      ['--trace=f', './script'],
    ],
    [
      ['--name', '--trace', '--trace', 'x'],
      ['--name', '--trace', '--trace=', 'x'],
    ],
    [
      ['-an', '--trace', '--trace', 'x'],
      ['-an', '--trace', '--trace=', 'x'],
    ],
    [
      ['-nvalue', '--trace', 'x'],
      ['-nvalue', '--trace=', 'x'],
    ],
    [
      ['-na', '--trace'],
      ['-na', '--trace='],
    ],
    [
      ['-aa', '--trace'],
      ['-aa', '--trace='],
    ],
    [
      ['x', '--trace'],
      ['x', '--trace'],
    ],
    [
      ['--', '--trace'],
      ['--', '--trace'],
    ],
    [
      ['-', '--trace'],
      ['-', '--trace'],
    ],
    [['--name'], ['--name']],
  ])('%j', (words, wanted) => {
    expect(attached(...words)).toEqual(wanted);
  });
});

describe('every option of every command', () => {
  const commands = everyCommand(newProgram());
  const options = commands.flatMap((command) =>
    command.options.map((option): [string, Command, Option] => [
      `${command.name()} ${option.flags}`,
      command,
      option,
    ]),
  );

  it('is one that was looked at', () => {
    expect(options.length).toBeGreaterThan(50);
  });

  it.each(options)(
    '%s takes the next word only where it must have a value',
    (_, command, option) => {
      expect(option.variadic).toBe(false);
      if (!option.optional || option.required) return;
      // A short form of a value that may be left out would still take the rest of its word.
      expect(option.short).toBeUndefined();
      expect(command.parseOptions([option.long ?? '', 'word']).operands).toEqual(['word']);
    },
  );
});
