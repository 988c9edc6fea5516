// The stub's address range and the layout of a mailbox slot: the TypeScript side of
// native/stub/mailbox.h, which asserts the same numbers. Slot offsets are in 32-bit words.

// Offsets from the start of the stub's range.
export const STUB_TEXT_BYTES = 0x10000;
export const STUB_MAILBOX_OFFSET = 0x100000;
export const STUB_MAILBOX_BYTES = 0x1000000;
export const STUB_AREAS_OFFSET = 0x2000000;
export const STUB_AREA_BYTES = 0x10000;
/** The most that a memory call of a stub may be about. */
export const STUB_PIECE_BYTES = 0x10000000;
export const STUB_SLOTS = 4096;
export const SLOT_BYTES = 4096;
export const SLOT_WORDS = 1024;
export const STUB_RANGE_BYTES = STUB_AREAS_OFFSET + STUB_SLOTS * STUB_AREA_BYTES;
/** "runtstub", low and high half. */
export const STUB_MAGIC_LOW = 0x746e7572;
export const STUB_MAGIC_HIGH = 0x62757473;

// enum slot_state
export const STATE_RUNNING = 0;
export const STATE_POSTED = 1;
export const STATE_ANSWERED = 2;
export const STATE_SLEEPING = 3;
export const STATE_DEFERRED = 4;

// enum event_kind
export const EVENT_SYSCALL = 1;
export const EVENT_FAULT = 2;
export const EVENT_INTERRUPTED = 3;
export const EVENT_OPERATION_FAILED = 4;
export const EVENT_OPERATIONS_DONE = 5;
export const EVENT_READY = 6;
export const EVENT_CLONED = 7;

// enum order
export const ORDER_RESULT = 1;
export const ORDER_REGISTERS = 2;
export const ORDER_OPERATIONS = 4;
export const ORDER_STOP = 8;
export const ORDER_FORK = 16;
export const ORDER_THREAD = 32;
export const ORDER_EXIT = 64;
export const ORDER_FRESH = 128;

// enum operation_kind
export const OP_MAP_ANONYMOUS = 1;
export const OP_MAP_FILE = 2;
export const OP_UNMAP = 3;
export const OP_PROTECT = 4;
export const OP_REMAP = 5;
export const OP_ADVISE = 6;
export const OP_SAVE_FP = 7;
export const OP_LOAD_FP = 8;
export const OP_CLOSE = 9;
export const OP_CPU_TIME = 10;
export const OP_SHOW_ARGUMENTS = 11;
export const OP_SHOW_NAME = 12;

/** Word offsets in struct slot. 64-bit fields take two words, low half first. */
export const SLOT = {
  state: 0,
  kind: 1,
  call: 2,
  signal: 16,
  code: 17,
  trapNumber: 18,
  errorCode: 19,
  faultAddr: 20,
  error: 22,
  opIndex: 23,
  childId: 24,
  fpBytes: 25,
  opCount: 26,
  messageId: 27,
  newSlot: 28,
  alive: 29,
  nonce: 30,
  regs: 32,
  listenerFd: 72,
  cpuNs: 74,
  fpAddr: 76,
  ops: 80,
  window: 272,
} as const;
export const SLOT_CALL_WORDS = 14;
export const SLOT_OPERATIONS = 16;

/** Word offsets in struct operation. */
export const OPERATION = {
  kind: 0,
  prot: 1,
  addr: 2,
  length: 4,
  extra0: 6,
  extra1: 8,
  flags: 10,
  messageId: 11,
} as const;
export const OPERATION_WORDS = 12;

/** Word offsets in struct global_page. */
export const GLOBAL = { sleeping: 0, spinCount: 1, turns: 2 } as const;
export const GLOBAL_PAGE_BYTES = 4096;

/** Bytes of struct zygote_init before the filter: magic, base, filter_instructions, reserved. */
export const ZYGOTE_INIT_BYTES = 24;
/** Bytes of struct passed_message: id, count. */
export const PASSED_MESSAGE_BYTES = 8;
