// SPDX-License-Identifier: Apache-2.0
/*
 * The stub zygote: a static program without libc that turns itself into the first stub. It gets fd 3 (control
 * socket), 4 (wake eventfd), 5 (global page, read-only); see platform-ptrace/systrap/README.md.
 *
 * It maps the stub at the address that the Sentry names in the first message, installs the handlers and
 * jumps there; the stub installs the filter and unmaps this program. From then on the zygote is a
 * stub like any other, and the Sentry forks stubs off it by the same order that forks guests.
 * Exit codes tell what failed: the launcher prints them.
 */
#include <linux/filter.h>
#include <stdint.h>

#include "stub/frame.h"
#include "stub/mailbox.h"
#include "zygote/host-call.h"
#include "zygote/zygote.h"

extern INTERNAL void tracer_main(const struct zygote_init *init, int mailbox);

enum {
  SYS_mmap = 9,
  SYS_mprotect = 10,
  SYS_munmap = 11,
  SYS_rt_sigaction = 13,
  SYS_rt_sigprocmask = 14,
  SYS_getpid = 39,
  SYS_recvmsg = 47,
  SYS_clone = 56,
  SYS_wait4 = 61,
  SYS_close = 3,
  SYS_exit_group = 231,
  SYS_sigaltstack = 131,
  SYS_prctl = 157,
  SYS_prlimit64 = 302,
  SYS_seccomp = 317,
  SYS_close_range = 436,
  SYS_mseal = 462,
};
enum { PR_SET_DUMPABLE = 4, PR_SET_NO_NEW_PRIVS = 38 };
enum { RLIMIT_CORE = 4, RLIMIT_NOFILE = 7 };
enum { SA_SIGINFO = 4, SA_RESTORER = 0x04000000, SA_ONSTACK = 0x08000000, SA_NODEFER = 0x40000000 };

extern const char stub_blob[], stub_blob_end[];
__asm__(
    ".pushsection .rodata\n"
    ".balign 16\n"
    "stub_blob: .incbin \"" STUB_BLOB
    "\"\n"
    "stub_blob_end:\n"
    ".popsection\n"
    ".globl _start\n"
    "_start: xor %ebp, %ebp\n"
    "and $-16, %rsp\n"
    "call zygote_main\n");

void *memcpy(void *to, const void *from, unsigned long bytes) {
  void *start = to;
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes)::"memory");
  return start;
}

void *memset(void *to, int value, unsigned long bytes) {
  void *start = to;
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(bytes) : "a"(value) : "memory");
  return start;
}

void need(int ok, enum failure why) {
  if (!ok) host(SYS_exit_group, why, 0, 0, 0, 0, 0);
}

static uint8_t message[sizeof(struct zygote_init) + 4096 * sizeof(struct sock_filter)]
    __attribute__((aligned(16)));

/* Receives the first message; returns the mailbox descriptor that came with it. */
static int receive_init(void) {
  struct {
    void *data;
    uint64_t bytes;
  } part = {message, sizeof message};
  struct {
    uint64_t bytes;
    int32_t level;
    int32_t type;
    int32_t fd;
    int32_t padding;
  } control = {0};
  struct {
    void *name;
    uint64_t name_bytes;
    void *parts;
    uint64_t part_count;
    void *control;
    uint64_t control_bytes;
    uint64_t flags;
  } header = {0, 0, &part, 1, &control, sizeof control, 0};
  long got = host(SYS_recvmsg, 3, (long)&header, 0, 0, 0, 0);
  const struct zygote_init *init = (const void *)message;
  need(got >= (long)sizeof *init && init->magic == STUB_MAGIC && control.bytes == 20, FAIL_MESSAGE);
  uint64_t instructions =
      (uint64_t)init->filter_instructions + init->tracee_instructions + init->tracer_instructions;
  need(got == (long)(sizeof *init + instructions * sizeof(struct sock_filter)), FAIL_MESSAGE);
  return control.fd;
}

enum {
  READ = 1,
  WRITE = 2,
  EXEC = 4,
  SHARED = 1,
  PRIVATE = 2,
  ANONYMOUS = 0x20,
  NORESERVE = 0x4000,
  FIXED_NOREPLACE = 0x100000
};

void map_fixed(uint64_t place, uint64_t bytes, int prot, int fd) {
  int flags = fd < 0 ? PRIVATE | ANONYMOUS | NORESERVE : SHARED;
  long at = host(SYS_mmap, (long)place, (long)bytes, prot, flags | FIXED_NOREPLACE, fd, 0);
  need(at == (long)place, FAIL_MAP);
}

/* Linux >= 6.10; elsewhere a guest that unmaps its stub merely dies. */
void seal(uint64_t place, uint64_t bytes) { host(SYS_mseal, (long)place, (long)bytes, 0, 0, 0, 0); }

static void map_stub(uint64_t base, int mailbox) {
  map_fixed(base, STUB_TEXT_BYTES, READ | WRITE, -1);
  memcpy((void *)base, stub_blob, (unsigned long)(stub_blob_end - stub_blob));
  need(host(SYS_mprotect, (long)base, STUB_TEXT_BYTES, READ | EXEC, 0, 0, 0) == 0, FAIL_MAP);
  map_fixed(base + STUB_GLOBAL_OFFSET, 4096, READ, ZYGOTE_PAGE);
  map_fixed(base + STUB_PROCESS_OFFSET, 4096, READ | WRITE, -1);
  map_fixed(base + STUB_MAILBOX_OFFSET, STUB_MAILBOX_BYTES, READ | WRITE, mailbox);
  map_fixed(base + STUB_AREAS_OFFSET, STUB_AREA_BYTES, READ | WRITE, -1);
  seal(base, STUB_TEXT_BYTES + 4096);
}

struct kernel_sigaction {
  uint64_t handler;
  uint64_t flags;
  uint64_t restorer;
  uint64_t mask;
};

void install_handlers(uint64_t handler, uint64_t restorer, uint64_t stack) {
  enum { SIGBUS = 7, SIGSEGV = 11, SIG_SETMASK = 2 };
  static const uint8_t handled[] = {4, 5, 7, 8, 11, 23, 31}; /* ILL TRAP BUS FPE SEGV URG SYS */
  for (int number = 1; number <= 64; number++) {
    struct kernel_sigaction plain = {0, 0, 0, 0};
    host(SYS_rt_sigaction, number, (long)&plain, 0, 8, 0, 0);
  }
  /* NODEFER: the mask alone says what is blocked, so that a fault inside a handler is delivered. */
  struct kernel_sigaction action = {handler, SA_SIGINFO | SA_RESTORER | SA_ONSTACK | SA_NODEFER,
                                    restorer, ~((1UL << (SIGSEGV - 1)) | (1UL << (SIGBUS - 1)))};
  if (stack == 0) action.mask = 0;
  for (unsigned i = 0; i < sizeof handled; i++) {
    need(host(SYS_rt_sigaction, handled[i], (long)&action, 0, 8, 0, 0) == 0, FAIL_SIGNALS);
  }
  struct {
    uint64_t pointer;
    uint32_t flags;
    uint32_t padding;
    uint64_t bytes;
  } own = {stack, 0, 0, STUB_AREA_BYTES - STUB_AREA_RESERVED};
  if (stack != 0) need(host(SYS_sigaltstack, (long)&own, 0, 0, 0, 0, 0) == 0, FAIL_SIGNALS);
  uint64_t none = 0;
  host(SYS_rt_sigprocmask, SIG_SETMASK, (long)&none, 0, 8, 0, 0);
}

struct limits {
  uint64_t soft;
  uint64_t hard;
};

void limit_descriptors(void) {
  struct limits descriptors = {64, 64};
  need(host(SYS_prlimit64, 0, RLIMIT_NOFILE, (long)&descriptors, 0, 0, 0) == 0, FAIL_LIMITS);
}

void raise_descriptors(void) {
  struct limits descriptors;
  need(host(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, (long)&descriptors, 0, 0) == 0, FAIL_LIMITS);
  descriptors.soft = descriptors.hard;
  need(host(SYS_prlimit64, 0, RLIMIT_NOFILE, (long)&descriptors, 0, 0, 0) == 0, FAIL_LIMITS);
}

void limit_rights(void) {
  struct limits core = {0, 0};
  need(host(SYS_prlimit64, 0, RLIMIT_CORE, (long)&core, 0, 0, 0) == 0, FAIL_LIMITS);
  need(host(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0) == 0, FAIL_LIMITS);
  need(host(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0, 0) == 0, FAIL_LIMITS);
}

/* close_range(2) came with Linux 5.9; before it all numbers are tried that whoever starts us may use. */
void close_from(int first) {
  enum { ENOSYS = 38, MOST = 4096 };
  long result = host(SYS_close_range, first, 0xffffffffL, 0, 0, 0, 0);
  if (result == -ENOSYS) {
    for (int fd = first; fd < MOST; fd++) host(SYS_close, fd, 0, 0, 0, 0, 0);
    result = 0;
  }
  need(result == 0, FAIL_DESCRIPTORS);
}

/*
 * Whether the host gives a filter with a listener: a container may have one already, or forbid it.
 * A child tries, as a filter stays.
 */
static int has_listener(void) {
  enum { SET_MODE_FILTER = 1, FLAG_NEW_LISTENER = 8, SIGCHLD = 17 };
  struct sock_filter allow = {BPF_RET | BPF_K, 0, 0, 0x7fff0000};
  struct {
    uint64_t count;
    uint64_t instructions;
  } program = {1, (uint64_t)&allow};
  int32_t status = -1;
  long pid = host(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
  if (pid == 0) {
    host(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
    long listener = host(SYS_seccomp, SET_MODE_FILTER, FLAG_NEW_LISTENER, (long)&program, 0, 0, 0);
    host(SYS_exit_group, listener < 0, 0, 0, 0, 0, 0);
  }
  return pid > 0 && host(SYS_wait4, pid, (long)&status, 0, 0, 0, 0) == pid && status == 0;
}

static int wants_tracer(const struct zygote_init *init) {
  if ((init->ways & WAY_TRACER) == 0) return 0;
  return (init->ways & WAY_SIGNALS) == 0 || !has_listener();
}

__attribute__((used)) void zygote_main(void) {
  int mailbox = receive_init();
  const struct zygote_init *init = (const void *)message;
  /* The kernel may have put its vDSO here, which nobody calls: one start in some thousand would fail. */
  host(SYS_munmap, (long)init->base, (long)STUB_RANGE_BYTES, 0, 0, 0, 0);
  if (wants_tracer(init)) tracer_main(init, mailbox);
  map_stub(init->base, mailbox);
  for (int fd = 0; fd < 3; fd++) host(SYS_close, fd, 0, 0, 0, 0, 0);
  close_from(ZYGOTE_PAGE);
  limit_descriptors();
  limit_rights();
  const struct stub_header *header = (const void *)init->base;
  install_handlers(init->base + header->handler, init->base + header->restorer,
                   init->base + STUB_AREAS_OFFSET);

  struct stub_boot boot = {(uint64_t)(message + sizeof *init), init->filter_instructions,
                           (int32_t)host(SYS_getpid, 0, 0, 0, 0, 0, 0)};
  uint64_t stack = init->base + STUB_AREAS_OFFSET + STUB_AREA_BYTES - STUB_AREA_RESERVED;
  __asm__ volatile("mov %0, %%rsp\n jmp *%1" ::"r"(stack), "r"(init->base + header->boot),
                   "D"(&boot)
                   : "memory");
  __builtin_unreachable();
}
