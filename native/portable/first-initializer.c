/*
 * Runs before anything of Node in the one-file build, in place of its first initializer. The last of the flags that
 * are built in is for the command line only: the Sentry and the Gofer count one less, before Node looks.
 * tools/single-file/last-flag.ts compiles it, once it knows the addresses, and puts it into the executable.
 */
#include <asm/unistd.h>
#include <stdint.h>
#include <sys/mman.h>

typedef void initializer(int argc, char **argv, char **envp);

initializer first_initializer;

static void protect(uint64_t address, uint64_t bytes, long protection) {
  uint64_t start = address & ~4095ULL;
  uint64_t end = (address + bytes + 4095) & ~4095ULL;
  long result;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "0"((long)__NR_mprotect), "D"(start), "S"(end - start), "d"(protection)
                   : "rcx", "r11", "memory");
  if (result != 0) __builtin_trap();
}

/* "runts-sentry" and "runts-gofer" (launcher/children.c), letter by letter: this is code without any data. */
static int is_sandbox(const char *name) {
  if (name[0] != 'r' || name[1] != 'u' || name[2] != 'n' || name[3] != 't' || name[4] != 's' ||
      name[5] != '-') {
    return 0;
  }
  const char *role = name + 6;
  if (role[0] == 's') {
    return role[1] == 'e' && role[2] == 'n' && role[3] == 't' && role[4] == 'r' && role[5] == 'y' &&
           role[6] == 0;
  }
  return role[0] == 'g' && role[1] == 'o' && role[2] == 'f' && role[3] == 'e' && role[4] == 'r' &&
         role[5] == 0;
}

void first_initializer(int argc, char **argv, char **envp) {
  if (argc > 0 && is_sandbox(argv[0])) {
    uint64_t *count = (uint64_t *)FLAG_COUNT;
    protect(FLAG_COUNT, sizeof *count, PROT_READ | PROT_WRITE);
    __builtin_memcpy(count, &(uint64_t){FLAGS - 1}, sizeof *count);
    protect(FLAG_COUNT, sizeof *count, PROT_READ);
  }
  ((initializer *)NEXT_INITIALIZER)(argc, argv, envp);
}
