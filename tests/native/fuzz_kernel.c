#include "fuzz_kernel.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>

#include "child/child.h"

enum { MOST_CALLS = 4096, SIGNAL_ACTION = 32, SIGNAL_SET = 8, LIMITS = 16 };

static jmp_buf over;
static uint32_t state;
static int calls;
static volatile unsigned char sink;

static uint32_t drawn(void) { return state = state * 1664525 + 1013904223; }

static void reads(long address, size_t size) {
  const unsigned char *bytes = (const unsigned char *)address;
  for (size_t i = 0; i < size; i++) sink += bytes[i];
}

static void reads_string(long address) { reads(address, strlen((const char *)address) + 1); }

static void reads_strings(long address) {
  for (char *const *string = (char *const *)address; *string; string++) reads_string((long)*string);
}

static void reads_filter(long address) {
  const struct sock_fprog *program = (const struct sock_fprog *)address;
  reads((long)program->filter, program->len * sizeof *program->filter);
}

static void writes(long address, size_t size) {
  if (address) memset((void *)address, (int)(drawn() >> 16), size);
}

/* Entries as getdents64 lays them: numbers of descriptors, some of them no numbers. */
static long lists(long address, size_t size) {
  unsigned char *entry = (unsigned char *)address;
  uint32_t kind = drawn() >> 24;
  unsigned short length = 24;
  if (kind < 64 || size < length) return 0;
  memset(entry, 0, length);
  memcpy(entry + 16, &length, sizeof length);
  entry[19] = kind < 128 ? '.' : '7';
  return length;
}

static void touch(long number, const long *given) {
  switch (number) {
    case SYS_openat: reads_string(given[1]); break;
    case SYS_chdir:
    case SYS_chroot: reads_string(given[0]); break;
    case SYS_execve: reads_string(given[0]), reads_strings(given[1]), reads_strings(given[2]); break;
    case SYS_execveat: reads_string(given[1]), reads_strings(given[2]), reads_strings(given[3]); break;
    case SYS_write: reads(given[1], (size_t)given[2]); break;
    case SYS_read: writes(given[1], (size_t)given[2]); break;
    case SYS_pipe2: writes(given[0], 2 * sizeof(int)); break;
    case SYS_setgroups: reads(given[1], (size_t)given[0] * 4); break;
    case SYS_prlimit64: given[2] ? reads(given[2], LIMITS) : writes(given[3], LIMITS); break;
    case SYS_sched_setaffinity: reads(given[2], (size_t)given[1]); break;
    case SYS_sched_setscheduler: reads(given[2], sizeof(int)); break;
    case SYS_seccomp: reads_filter(given[2]); break;
    case SYS_capget: writes(given[1], 2 * sizeof(struct __user_cap_data_struct)); break;
    case SYS_capset: reads(given[1], 2 * sizeof(struct __user_cap_data_struct)); break;
    case SYS_rt_sigaction:
      if (given[1]) reads(given[1], SIGNAL_ACTION);
      writes(given[2], SIGNAL_ACTION);
      break;
    case SYS_rt_sigprocmask: reads(given[1], SIGNAL_SET); break;
    case SYS_ioctl: if (given[2]) reads(given[2], sizeof(int)); break;
    case SYS_readlinkat: reads_string(given[1]), writes(given[2], (size_t)given[3]); break;
    case SYS_wait4: writes(given[1], sizeof(int)); break;
    default: break;
  }
}

/* One call in eight fails. A write always goes through, or the child would write for ever. */
long fuzz_syscall(long number, ...) {
  long given[6];
  va_list more;
  va_start(more, number);
  for (int i = 0; i < 6; i++) given[i] = va_arg(more, long);
  va_end(more);
  if (number == SYS_exit_group || ++calls > MOST_CALLS) longjmp(over, 1);
  touch(number, given);
  if (number == SYS_write) return given[2];
  if (number == SYS_getdents64) return lists(given[1], (size_t)given[2]);
  uint32_t draw = drawn() >> 16;
  if (number == SYS_execve || number == SYS_execveat || draw % 8 == 0) {
    errno = draw % 3 ? ENOENT : EINTR;
    return -1;
  }
  if (number == SYS_readlinkat) return draw % (given[3] + 1);
  return draw % 4 ? 0 : draw % 64;
}

static int calls_a_hook(const struct launch *launch) {
  for (uint32_t i = 0; i < launch->step_count; i++)
    if (launch->steps[i].kind == AIOSPAWN_STEP_HOOK) return 1;
  return 0;
}

void fuzz_run(struct launch *launch, uint32_t seed) {
  state = seed;
  calls = 0;
  if (calls_a_hook(launch)) return;
  if (!setjmp(over)) child_run(launch);
}
