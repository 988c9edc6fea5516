// V8 takes its flags from the executable in every role alike. The command line, which lives for milliseconds and reads
// nothing but its arguments, needs no hash seed of its own and starts a fifth sooner without; the Sentry must have one.
// So that flag is the last, and native/portable/first-initializer.c has all but the command line overlook it.
import type { Elf } from './elf.ts';

const DT_INIT_ARRAY = 25;

/** Where Node's blob has the number of flags: it and the flags, each with its length, are the last in there. */
function flagCountOffset(elf: Elf, flags: readonly string[]): number {
  const parts = flags.flatMap((flag) => [length(flag.length), Buffer.from(flag)]);
  const wanted = Buffer.concat([length(flags.length), ...parts]);
  const offset = elf.bytes.lastIndexOf(wanted);
  if (offset < 0 || elf.bytes.indexOf(wanted) !== offset) throw new Error('no flags in the blob');
  return offset;
}

function length(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(value, 0);
  return bytes;
}

/** `compile` makes the code for the constants that it is given. */
export function lastFlagForCommandLine(
  elf: Elf,
  flags: readonly string[],
  compile: (constants: Readonly<Record<string, number>>) => Uint8Array,
): void {
  const first = elf.offsetOf(elf.dynamicValue(DT_INIT_ARRAY));
  const code = compile({
    FLAG_COUNT: elf.addressOf(flagCountOffset(elf, flags)),
    FLAGS: flags.length,
    NEXT_INITIALIZER: elf.number(first),
  });
  elf.setNumber(first, elf.addCode(code));
}
