// SPDX-License-Identifier: Apache-2.0
/*
 * The stub: what runs inside every guest address space. A signal handler that posts each stop of the
 * guest thread to the Sentry through its mailbox slot, waits for the answer, does what the answer
 * orders (memory operations, clone) and lets the guest go on by returning from the signal.
 *
 * Freestanding, position independent, no writable data, no FP registers, no %fs. Everything it keeps
 * lies in memory that the guest can write: nothing here is trusted by anybody but this guest.
 */
#include "stub/calls.h"
#include "stub/descriptors.h"
#include "stub/fpstate.h"
#include "stub/frame.h"
#include "stub/futex.h"
#include "stub/mailbox.h"
#include "stub/memory.h"
#include "stub/patch.h"
#include "stub/places.h"
#include "stub/post.h"
#include "stub/registers.h"
#include "stub/unpatched.h"
#include "stub/window.h"

/* The two flag sets that the filter knows: CLONE_PARENT|CHILD_SETTID|SIGCHLD, and
 * CLONE_VM|FS|FILES|SIGHAND|THREAD|SYSVSEM|CHILD_SETTID|CHILD_CLEARTID. */
#define CLONE_PROCESS_FLAGS 0x1008011L
#define CLONE_THREAD_FLAGS 0x1250f00L

HIDDEN void stub_on_signal(int number, struct signal_info *info, struct frame *frame);
HIDDEN void stub_thread_main(struct frame *frame);
HIDDEN void stub_boot_main(const struct stub_boot *boot);

/* The compiler may call these. */
HIDDEN void *memcpy(void *to, const void *from, size_t bytes) {
  void *start = to;
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes)::"memory");
  return start;
}

HIDDEN void *memset(void *to, int value, size_t bytes) {
  void *start = to;
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
  return start;
}

/* struct prctl_mm_map: include/uapi/linux/prctl.h. */
struct host_layout {
  uint64_t start_code, end_code, start_data, end_data, start_brk, brk, start_stack;
  uint64_t arg_start, arg_end, env_start, env_end;
  uint64_t auxv;
  uint32_t auxv_bytes;
  uint32_t exe_fd;
};
_Static_assert(sizeof(struct host_layout) == 104, "struct prctl_mm_map");

/* ---- operations ---- */

static long save_fp(const struct frame *frame, uint64_t addr) {
  if (frame->fpstate == 0) return -EFAULT;
  return stub_copy((void *)addr, frame->fpstate, fp_size(frame->fpstate)) == 0 ? 0 : -EFAULT;
}

/* Replaces the state in the frame; the frame is unchanged on failure. */
static long load_fp(const struct frame *frame, uint64_t addr) {
  uint8_t *state = frame->fpstate;
  if (state == 0) return addr == 0 ? 0 : -EFAULT;
  if (addr == 0) {
    fp_reset(state);
    return 0;
  }

  uint32_t size = fp_size(state);
  uint8_t fresh[12288];
  if (size > sizeof fresh) return -EFAULT;
  if (stub_copy(fresh, (const void *)addr, size) != 0) return -EFAULT;
  /* A frame without the extended magic carries legacy state only: the rest becomes initial. */
  int extended = fp_load32(fresh + FP_SOFTWARE_OFFSET) == FP_XSTATE_MAGIC1;
  memcpy(fresh + FP_SOFTWARE_OFFSET, state + FP_SOFTWARE_OFFSET, sizeof(struct fp_software));
  if (!extended && size > FP_LEGACY_BYTES) {
    uint64_t legacy = 3;
    memset(fresh + FP_HEADER_OFFSET, 0, FP_HEADER_BYTES);
    memcpy(fresh + FP_HEADER_OFFSET, &legacy, sizeof legacy);
  }
  if (fp_check(fresh, fp_load32(state + FP_MXCSR_MASK_OFFSET)) != 0) return -EFAULT;
  uint32_t body = size > FP_LEGACY_BYTES ? size - 4 : size; /* magic2 stays */
  memcpy(state, fresh, body);
  return 0;
}

static long map_file(const struct operation *op) {
  int32_t fds[2];
  long result = take_descriptors(op->message_id, fds);
  if (result < 0) return result;
  result = map_memory(op, fds[0]);
  close_fd(fds[0]);
  release_descriptors();
  return result;
}

static uint64_t host_cpu_time(void) {
  enum { CLOCK_THREAD_CPUTIME_ID = 3 };
  uint64_t time[2] = {0, 0};
  stub_syscall(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, (long)time, 0, 0, 0, 0);
  return time[0] * 1000000000UL + time[1];
}

static long cpu_time(struct slot *slot) {
  slot->cpu_ns = host_cpu_time() - slot->cpu_base;
  return 0;
}

/*
 * What the host's ps(1) shows of this process: its arguments where they lie, so that a program that
 * writes over them shows that too. A host that refuses (it has no CONFIG_CHECKPOINT_RESTORE) shows
 * the name alone.
 */
static long show_arguments(const struct operation *op) {
  enum { PR_SET_MM = 35, PR_SET_MM_MAP = 14 };
  /* The kernel wants some code; what this says of code, data and break has no effect that anybody needs. */
  struct host_layout layout = {
      .start_code = (uint64_t)stub_base,
      .end_code = (uint64_t)stub_base + STUB_TEXT_BYTES,
      .start_data = (uint64_t)stub_base,
      .end_data = (uint64_t)stub_base,
      .start_brk = (uint64_t)stub_base,
      .brk = (uint64_t)stub_base,
      .start_stack = (uint64_t)stub_base,
      .arg_start = op->addr,
      .arg_end = op->length,
      .env_start = op->extra0,
      .env_end = op->extra1,
      .exe_fd = ~0U,
  };
  stub_syscall(SYS_prctl, PR_SET_MM, PR_SET_MM_MAP, (long)&layout, sizeof layout, 0, 0);
  return 0;
}

static long show_name(const struct operation *op) {
  enum { PR_SET_NAME = 15 };
  const uint64_t name[2] = {op->extra0, op->extra1 & ~0UL >> 8};
  stub_syscall(SYS_prctl, PR_SET_NAME, (long)name, 0, 0, 0, 0);
  return 0;
}

static long run_operation(const struct operation *op, struct slot *slot,
                          const struct frame *frame) {
  switch (op->kind) {
    case OP_MAP_ANONYMOUS:
      return map_memory(op, -1);
    case OP_MAP_FILE:
      return map_file(op);
    case OP_UNMAP:
      /* The Sentry alone unmaps the table, for the program that execve starts. */
      if (op->addr == TABLE_START && op->length == TABLE_BYTES) process()->has_table = 0;
      return in_pieces(SYS_munmap, op->addr, op->length, 0);
    case OP_PROTECT:
      return in_pieces(SYS_mprotect, op->addr, op->length, op->prot);
    case OP_REMAP:
      return remap_memory(op);
    case OP_ADVISE:
      return advise_memory(op);
    case OP_SAVE_FP:
      return save_fp(frame, op->addr);
    case OP_LOAD_FP:
      return load_fp(frame, op->addr);
    case OP_CLOSE:
      return stub_syscall(SYS_close, op->prot, 0, 0, 0, 0, 0);
    case OP_CPU_TIME:
      return cpu_time(slot);
    case OP_SHOW_ARGUMENTS:
      return show_arguments(op);
    case OP_SHOW_NAME:
      return show_name(op);
    case OP_PATCH:
      patch_site(op, process());
      return 0;
    default:
      return -EINVAL;
  }
}

/* Stops at the first failure: -errno, and its index in the slot. */
static long run_operations(struct slot *slot, const struct frame *frame) {
  uint32_t count = slot->op_count;
  if (count > SLOT_OPERATIONS) return -EINVAL;
  for (uint32_t i = 0; i < count; i++) {
    struct operation op = slot->ops[i];
    long result = run_operation(&op, slot, frame);
    if (result < 0 && result >= -4095) {
      slot->op_index = i;
      return result;
    }
  }
  return 0;
}

/* ---- clone ---- */

/*
 * Whether other threads of the parent may have held descriptors when the host kernel copied its
 * table: then they are the child's too. It copies the memory later, so one that let go in between
 * shows by the count of releases alone.
 */
static int others_held(const struct process_page *page, uint32_t releases_before) {
  return page->holders > 1 || page->lock != 0 || page->releases != releases_before;
}

/* In the child: nothing of the parent's channel may stay. */
static void adopt(struct slot *slot, const int32_t fds[2], const struct frame *frame,
                  uint32_t releases_before) {
  struct process_page *page = process();
  long place = (long)(stub_base + STUB_MAILBOX_OFFSET);
  long mapped = stub_syscall(SYS_mmap, place, STUB_MAILBOX_BYTES, PROT_READ_WRITE,
                             MAP_SHARED | MAP_FIXED, fds[1], 0);
  if (mapped != place) stub_syscall(SYS_exit, 1, 0, 0, 0, 0, 0);
  close_fd(fds[1]);
  if (others_held(page, releases_before)) {
    for (long fd = 0; fd < 64; fd++) {
      if (fd != ZYGOTE_WAKE && fd != fds[0]) close_fd(fd);
    }
  } else {
    close_fd(page->control_fd);
    for (int i = 0; i < STASH_ENTRIES; i++) {
      for (uint32_t k = 0; k < page->stash[i].count; k++) close_fd(page->stash[i].fds[k]);
    }
  }
  for (int i = 0; i < STASH_ENTRIES; i++) page->stash[i].count = 0;
  page->control_fd = fds[0];
  page->lock = 0;
  page->holders = 0;
  page->dozing = 0;
  undo_patch(page);
  block_of(frame)->is_interrupted = 0;
  save_registers(slot, frame);
  slot->fp_bytes = frame->fpstate == 0 ? 0 : fp_size(frame->fpstate);
}

/* Returns the event to post: in the parent EVENT_CLONED, in the child EVENT_READY. */
static uint32_t clone_process(struct slot *slot, const struct frame *frame) {
  int32_t fds[2];
  volatile int32_t own_id = 0; /* the host kernel stores it in the child's copy of this stack */
  long result = take_descriptors(slot->message_id, fds);
  if (result == 0) {
    uint32_t releases = __atomic_load_n(&process()->releases, __ATOMIC_SEQ_CST);
    result = stub_syscall(SYS_clone, CLONE_PROCESS_FLAGS, 0, 0, (long)&own_id, 0, 0);
    if (result == 0) {
      adopt(slot, fds, frame, releases);
      slot->child_id = own_id;
      return EVENT_READY;
    }
    close_fd(fds[0]);
    close_fd(fds[1]);
    release_descriptors();
  }
  slot->child_id = (int32_t)result;
  return EVENT_CLONED;
}

/* Copies this thread's frame to the new thread's area and starts a host thread on it. */
static long start_thread(uint32_t index, const struct frame *frame) {
  if (index >= STUB_SLOTS || frame->fpstate == 0) return -EINVAL;
  uint64_t area = area_of(index);
  uint64_t own_area = (uint64_t)frame & ~(STUB_AREA_BYTES - 1);
  uint64_t start = (uint64_t)frame;
  uint64_t end = (uint64_t)frame->fpstate + fp_size(frame->fpstate);
  if (end <= start || end > own_area + STUB_AREA_BYTES) return -EINVAL;
  long mapped = stub_syscall(SYS_mmap, (long)area, STUB_AREA_BYTES, PROT_READ_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  if (mapped != (long)area) return mapped;

  struct frame *copy = (struct frame *)(area + (start - own_area));
  memcpy(copy, frame, end - start);
  copy->fpstate = frame->fpstate - own_area + area;
  copy->stack_pointer = area;
  copy->stack_bytes = STUB_AREA_BYTES - STUB_AREA_RESERVED;
  copy->stack_flags = 0;
  uint64_t *stack = (uint64_t *)(((uint64_t)copy - 256) & ~15UL);
  stack[0] = (uint64_t)stub_thread_entry;
  stack[1] = (uint64_t)copy;
  return stub_syscall(SYS_clone, CLONE_THREAD_FLAGS, (long)stack, 0, (long)&slot_at(index)->alive,
                      0, 0);
}

/* ---- the conversation ---- */

/* An event that stands for none: the answer to a patched call is there already. */
#define EVENT_ANSWERED 0

/* Posts `kind` and obeys until the guest may go on. */
static void serve(struct slot *slot, struct frame *frame, uint32_t kind) {
  for (;;) {
    if (kind != EVENT_ANSWERED) {
      slot->kind = kind;
      uint32_t spins = kind == EVENT_CLONED || kind == EVENT_READY ? 0 : global()->spin_count;
      post(slot);
      wait_answer(slot, spins);
    }

    uint32_t order = copy_out(slot, slot->kind);
    if ((order & ORDER_EXIT) != 0) stub_syscall(SYS_exit, 0, 0, 0, 0, 0, 0);
    if ((order & ORDER_FRESH) != 0) slot->cpu_base = host_cpu_time();
    if ((order & ORDER_OPERATIONS) != 0) {
      long result = run_operations(slot, frame);
      if (result < 0) {
        slot->error = (int32_t)result;
        save_registers(slot, frame);
        kind = EVENT_OPERATION_FAILED;
        continue;
      }
    }
    if ((order & ORDER_STOP) != 0) {
      kind = EVENT_OPERATIONS_DONE;
    } else if ((order & ORDER_FORK) != 0) {
      kind = clone_process(slot, frame);
    } else if ((order & ORDER_THREAD) != 0) {
      slot->child_id = (int32_t)start_thread(slot->new_slot, frame);
      kind = EVENT_CLONED;
    } else {
      if ((order & ORDER_REGISTERS) != 0) load_registers(slot, frame);
      if ((order & ORDER_RESULT) != 0) frame->gregs[GREG_RAX] = slot->call[0];
      return;
    }
  }
}

/* ---- signals in patched calls ---- */

/* The trap of entry.S: the frame becomes that of the guest right after its call. */
static void on_call_trap(struct slot *slot, struct frame *frame) {
  struct call_block *block = block_of(frame);
  frame->gregs[GREG_RIP] = block->rcx;
  frame->gregs[GREG_EFLAGS] = block->flags;
  if (block->reason == CALL_ANSWERED) serve(slot, frame, EVENT_ANSWERED);
  while (block->is_interrupted != 0) {
    block->is_interrupted = 0;
    save_registers(slot, frame);
    slot->fp_bytes = frame->fpstate == 0 ? 0 : fp_size(frame->fpstate);
    serve(slot, frame, EVENT_INTERRUPTED);
  }
}

/*
 * A signal found the thread in code of the stub's that is no signal handler: in a patched call. That
 * call is asked for on its way out.
 */
static int interrupts_call(int number, struct frame *frame) {
  uint64_t ip = frame->gregs[GREG_RIP];
  if (number != SIGURG || ip - (uint64_t)stub_base >= STUB_TEXT_BYTES) return 0;
  block_of(frame)->is_interrupted = 1;
  /* It was about to sleep. */
  if (ip >= (uint64_t)stub_doze_start && ip < (uint64_t)stub_doze_end) {
    frame->gregs[GREG_RIP] = (uint64_t)stub_doze_interrupted;
  }
  /* Past the question: the way out starts again. */
  if (ip >= (uint64_t)stub_call_exit && ip < (uint64_t)stub_call_exit_end) {
    frame->gregs[GREG_RIP] = (uint64_t)stub_call_exit;
  }
  return 1;
}

static uint32_t classify(int number, const struct signal_info *info, const struct frame *frame,
                         struct slot *slot) {
  uint64_t ip = frame->gregs[GREG_RIP];
  if (number == SIGURG) return EVENT_INTERRUPTED;
  if (number == SIGILL && ip == (uint64_t)stub_boot_trap) return EVENT_READY;
  if (number == SIGSYS) {
    /* Calls through the vsyscall page come here as well, with the return already emulated. */
    save_call(slot, frame);
    return EVENT_SYSCALL | fill_window(slot, slot->call);
  }
  slot->signal = (uint32_t)number;
  slot->code = (uint32_t)info->code;
  slot->trap_number = (uint32_t)frame->gregs[GREG_TRAPNO];
  slot->error_code = (uint32_t)frame->gregs[GREG_ERR];
  slot->fault_addr = info->addr;
  return EVENT_FAULT;
}

/* Where an instruction of the stub's own, at `ip`, goes on when it faults; 0: it is none that may. */
static uint64_t after_fault(uint64_t ip) {
  if (ip == (uint64_t)stub_copy_insn) return (uint64_t)stub_copy_fault;
  if (ip == (uint64_t)stub_load_insn) return (uint64_t)stub_load_fault;
  if (ip == (uint64_t)stub_touch_read_insn || ip == (uint64_t)stub_touch_write_insn) {
    return (uint64_t)stub_touch_fault;
  }
  return 0;
}

/*
 * The stub itself faults: its memory has gone. It would fault again in each signal for that, for ever
 * where its stack ends between two frames. The trap is a signal that is blocked here, so the
 * host's kernel ends the process.
 */
static int is_own_fault(const struct frame *frame) {
  uint64_t ip = frame->gregs[GREG_RIP], sp = frame->gregs[GREG_RSP];
  return ip - (uint64_t)stub_base < STUB_TEXT_BYTES &&
         sp - area_of(0) < STUB_SLOTS * STUB_AREA_BYTES;
}

/* A futex call that has trapped. Where registers are set the answer is out of reach: it is too low. */
static void serve_futex(struct slot *slot, struct frame *frame, const uint64_t *call) {
  struct wakes wakes;
  serve(slot, frame, EVENT_SYSCALL);
  if (!read_wakes(call, &wakes)) return;
  if ((slot->kind & ORDER_RESULT) == 0) {
    wake_dozing(&wakes, 0);
  } else {
    frame->gregs[GREG_RAX] = wake_dozing(&wakes, frame->gregs[GREG_RAX]);
  }
}

/* Called by the host kernel for every signal; returning continues the guest. */
void stub_on_signal(int number, struct signal_info *info, struct frame *frame) {
  if (number == SIGSEGV || number == SIGBUS) {
    uint64_t next = after_fault(frame->gregs[GREG_RIP]);
    if (next != 0) {
      frame->gregs[GREG_RIP] = next;
      return;
    }
    if (is_own_fault(frame)) __builtin_trap();
  }
  if (interrupts_call(number, frame)) return;
  struct slot *slot = own_slot();
  if (number == SIGTRAP && frame->gregs[GREG_RIP] == (uint64_t)stub_call_trap) {
    on_call_trap(slot, frame);
    return;
  }
  if (on_own_trap(number, frame)) return;
  number = as_unpatched(number, frame);
  if (number == 0) return;
  save_registers(slot, frame);
  uint32_t kind = classify(number, info, frame, slot);
  if ((kind & ~(uint32_t)EVENT_WINDOW) != EVENT_SYSCALL) {
    slot->fp_bytes = frame->fpstate == 0 ? 0 : fp_size(frame->fpstate);
  }
  if (kind == EVENT_SYSCALL && slot->call[0] == SYS_futex) {
    const uint64_t *gregs = frame->gregs;
    const uint64_t call[6] = {gregs[GREG_RDI], gregs[GREG_RSI], gregs[GREG_RDX],
                              gregs[GREG_R10], gregs[GREG_R8],  gregs[GREG_R9]};
    serve_futex(slot, frame, call);
    return;
  }
  serve(slot, frame, kind);
}

/* First code of a new thread, on its own stack; its frame is a copy of its creator's. */
void stub_thread_main(struct frame *frame) {
  struct slot *slot = own_slot();
  write_gs_base(read_gs_base(), frame);
  save_registers(slot, frame);
  slot->fp_bytes = fp_size(frame->fpstate);
  slot->cpu_base = 0; /* of the slot's last thread */
  serve(slot, frame, EVENT_READY);
}

/*
 * The zygote's last step, from the stub's text: everything but the stub goes, the filter goes on.
 * The trap that follows makes a complete signal frame, which each forked child inherits. The
 * program lies in what goes first, and under the filter no call goes that far.
 */
void stub_boot_main(const struct stub_boot *boot) {
  enum { SET_MODE_FILTER = 1, FLAG_NEW_LISTENER = 8, INSTRUCTION_BYTES = 8 };
  struct slot *slot = slot_at(0);
  uint8_t instructions[16384];
  struct {
    uint16_t count;
    uint8_t *instructions;
  } program = {boot->filter_instructions, instructions};
  long listener = -E2BIG;
  int32_t pid = boot->pid;
  uint64_t bytes = boot->filter_instructions * (uint64_t)INSTRUCTION_BYTES;
  long start = (long)stub_base;
  long end = start + (long)STUB_RANGE_BYTES;
  if (bytes <= sizeof instructions) {
    memcpy(instructions, (const void *)boot->filter, bytes);
    stub_syscall(SYS_munmap, 0, start, 0, 0, 0, 0);
    stub_syscall(SYS_munmap, end, 0x7ffffffff000L - end, 0, 0, 0, 0);
    listener =
        stub_syscall(SYS_seccomp, SET_MODE_FILTER, FLAG_NEW_LISTENER, (long)&program, 0, 0, 0);
  }
  slot->child_id = listener < 0 ? (int32_t)listener : pid;
  slot->listener_fd = (int32_t)listener;
  process()->control_fd = 3;
}
