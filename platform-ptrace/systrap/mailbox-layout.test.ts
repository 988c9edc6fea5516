// protocol/mailbox.ts against native/stub/mailbox.h, by asking the compiler.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import * as mailbox from '../../protocol/mailbox.ts';

const slotFields = {
  state: 'state',
  kind: 'kind',
  call: 'call',
  signal: 'signal',
  code: 'code',
  trapNumber: 'trap_number',
  errorCode: 'error_code',
  faultAddr: 'fault_addr',
  error: 'error',
  opIndex: 'op_index',
  childId: 'child_id',
  fpBytes: 'fp_bytes',
  opCount: 'op_count',
  messageId: 'message_id',
  newSlot: 'new_slot',
  alive: 'alive',
  nonce: 'nonce',
  regs: 'regs',
  listenerFd: 'listener_fd',
  cpuNs: 'cpu_ns',
  fpAddr: 'fp_addr',
  ops: 'ops',
  window: 'window',
} as const satisfies Record<keyof typeof mailbox.SLOT, string>;

const operationFields = {
  kind: 'kind',
  prot: 'prot',
  addr: 'addr',
  length: 'length',
  extra0: 'extra0',
  extra1: 'extra1',
  flags: 'flags',
  messageId: 'message_id',
} as const satisfies Record<keyof typeof mailbox.OPERATION, string>;

/** Constants with the same name on both sides. */
const sharedNames = Object.keys(mailbox).filter((name) =>
  /^(STATE|EVENT|ORDER|OP)_|^STUB_(TEXT|MAILBOX|AREA|AREAS|SLOTS|RANGE|PIECE)|^SLOT_OPERATIONS$/.test(
    name,
  ),
);

function probe(expressions: readonly string[]): number[] {
  const folder = mkdtempSync(join(tmpdir(), 'runts-layout-'));
  const prints = expressions
    .map((text) => `printf("%llu\\n", (unsigned long long)(${text}));`)
    .join('\n');
  const source = `#include <stdio.h>\n#include "stub/mailbox.h"\nint main(void) { ${prints} }\n`;
  try {
    const native = fileURLToPath(new URL('../../native', import.meta.url));
    execFileSync('cc', ['-x', 'c', '-I', native, '-o', join(folder, 'probe'), '-'], {
      input: source,
    });
    return execFileSync(join(folder, 'probe'), { encoding: 'latin1' })
      .trim()
      .split('\n')
      .map(Number);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

it('struct slot and struct operation have the same offsets', () => {
  const expressions = [
    ...Object.values(slotFields).map((field) => `offsetof(struct slot, ${field}) / 4`),
    ...Object.values(operationFields).map((field) => `offsetof(struct operation, ${field}) / 4`),
    'sizeof(struct slot) / 4',
    'sizeof(struct operation) / 4',
    'offsetof(struct global_page, sleeping) / 4',
    'offsetof(struct global_page, spin_count) / 4',
    'sizeof(struct zygote_init)',
    'sizeof(struct passed_message)',
    'STUB_MAGIC & 0xffffffffUL',
    'STUB_MAGIC >> 32',
  ];
  expect(probe(expressions)).toEqual([
    ...Object.keys(slotFields).map((key) => mailbox.SLOT[key as keyof typeof mailbox.SLOT]),
    ...Object.keys(operationFields).map(
      (key) => mailbox.OPERATION[key as keyof typeof mailbox.OPERATION],
    ),
    mailbox.SLOT_WORDS,
    mailbox.OPERATION_WORDS,
    mailbox.GLOBAL.sleeping,
    mailbox.GLOBAL.spinCount,
    mailbox.ZYGOTE_INIT_BYTES,
    mailbox.PASSED_MESSAGE_BYTES,
    mailbox.STUB_MAGIC_LOW,
    mailbox.STUB_MAGIC_HIGH,
  ]);
});

it('constants have the same values', () => {
  expect(sharedNames.length).toBeGreaterThan(35);
  const values = mailbox as unknown as Record<string, number>;
  expect(probe(sharedNames)).toEqual(sharedNames.map((name) => values[name]));
});
