#include "fuzz_kernel.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/stat.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "child/child.h"
#include "launcher/init.h"

enum { MOUNT_SETATTR = 442 }; /* the same on every processor, and newer than some C libraries */
enum { MOST_CALLS = 4096, SIGNAL_ACTION = 32, SIGNAL_SET = 8, LIMITS = 16, USAGE = 144, MAPPINGS = 8 };
/* Descriptors of what is read in /proc. */
enum { STAT = 1000, STATUS, CHILDREN };

static jmp_buf over;
static uint32_t state, one_in;
static int calls, has_init;
static int64_t clock_ns;
static struct {
  void *base;
  size_t size;
} mappings[MAPPINGS];
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

/* ---- what init asks ------------------------------------------------------------------------------------------------ */

static long refuses(int error) {
  errno = error;
  return -1;
}

/* One in eight is no order at all, but the socket's end. */
static long orders(long address, size_t size) {
  struct init_order order = {.kind = (int32_t)(drawn() >> 16) % 6, .signal = (int32_t)(drawn() >> 16) % 80 - 8};
  uint32_t draw = drawn() >> 16;
  if (draw % 4 == 0) return refuses(draw % 8 ? EAGAIN : ENOMEM);
  if (draw % 8 == 1) return draw % 16 == 1 ? 0 : refuses(ECONNRESET);
  memcpy((void *)address, &order, size < sizeof order ? size : sizeof order);
  return draw % 64 == 2 ? (long)size - 1 : (long)size;
}

static long waits(const long *given) {
  siginfo_t *info = (siginfo_t *)given[2];
  uint32_t draw = drawn() >> 16;
  memset(info, 0, sizeof *info);
  if (given[4]) memset((void *)given[4], 0, USAGE);
  if (draw % 8 == 0) return refuses(draw % 16 ? ECHILD : EINTR);
  info->si_pid = draw % 8 == 1 ? 0 : (int)(drawn() >> 16) % 16;
  info->si_code = draw % 3 ? CLD_EXITED : CLD_KILLED;
  info->si_status = (int)(drawn() >> 16) % (draw % 3 ? 256 : 65);
  return 0;
}

static long polls(struct pollfd *fds, long count) {
  long ready = 0;
  for (long i = 0; i < count; i++) {
    fds[i].revents = drawn() >> 24 & 1 ? POLLIN : 0;
    ready += fds[i].revents != 0;
  }
  return ready || drawn() >> 28 ? ready : refuses(EINTR);
}

/* As the kernel writes them; only a name holds whatever its process likes. */
static long shows(long fd, char *text, size_t size) {
  char line[512], name[] = {'(', (char)(drawn() >> 16), ')', ' ', (char)(drawn() >> 16), 0};
  unsigned number = drawn() >> 16, other = drawn() >> 16;
  if (number % 3 == 0) return 0;
  int length = fd == STAT   ? snprintf(line, sizeof line, "%u (%s) S %u 1 1 0 -1 64 1 2 3 4 %u %u 5 6", number, name, other % 16, number, other)
               : fd == STATUS ? snprintf(line, sizeof line, "Name:\t%s\nRssAnon:\t%8u kB\nRssShmem:\t%8u kB\nVmSwap:\t0 kB\n", name, number, other)
                              : snprintf(line, sizeof line, "%u %u ", number % 16, other % 4096);
  size_t shown = (size_t)length < size ? (size_t)length : size;
  memcpy(text, line, shown);
  return (long)shown;
}

/* As memory.events and cpu.stat of a cgroup have it. */
static long counts(char *text, size_t size) {
  char lines[128];
  unsigned number = drawn() >> 16, other = drawn() >> 20;
  if (number % 7 == 0) return refuses(ENODEV);
  int length = snprintf(lines, sizeof lines, number % 2 ? "low 0\noom %u\noom_kill %u\n" : "usage_usec %u\nuser_usec %u", number, other % 2);
  size_t shown = (size_t)length < size ? (size_t)length : size;
  memcpy(text, lines, shown);
  return (long)shown;
}

static long opens(const char *path) {
  static const char *const names[] = {"/stat", "/status", "/children"};
  for (int i = 0; i < 3; i++) {
    size_t length = strlen(path), size = strlen(names[i]);
    if (length >= size && strcmp(path + length - size, names[i]) == 0) return STAT + i;
  }
  return 64 + (long)(drawn() >> 24);
}

static long maps(size_t size) {
  for (int i = 0; i < MAPPINGS; i++) {
    if (mappings[i].base) continue;
    void *base = drawn() >> 29 ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) : MAP_FAILED;
    if (base == MAP_FAILED) return refuses(ENOMEM);
    mappings[i].base = base;
    mappings[i].size = size;
    return (long)base;
  }
  return refuses(ENOMEM);
}

static long ticks(int64_t *time) {
  clock_ns += drawn() >> 4;
  time[0] = clock_ns / 1000000000;
  time[1] = clock_ns % 1000000000;
  return 0;
}

/* 1 and the answer where it is a call that init makes in a way of its own. */
static int answers_init(long number, const long *given, long *answer) {
  switch (number) {
    case SYS_recvfrom: *answer = orders(given[1], (size_t)given[2]); return 1;
    case SYS_waitid: *answer = waits(given); return 1;
    case SYS_ppoll: *answer = polls((struct pollfd *)given[0], given[0] ? given[1] : 0); return 1;
    case SYS_clock_gettime: *answer = ticks((int64_t *)given[1]); return 1;
    case SYS_mmap: *answer = maps((size_t)given[1]); return 1;
    case SYS_getrusage: memset((void *)given[1], 0, USAGE), *answer = 0; return 1;
    case SYS_pread64: *answer = counts((char *)given[1], (size_t)given[2]); return 1;
    case SYS_sendto: reads(given[1], (size_t)given[2]), *answer = given[2]; return 1;
    case SYS_openat:
      reads_string(given[1]);
      *answer = opens((const char *)given[1]);
      return 1;
    case SYS_unlinkat: reads_string(given[1]), *answer = drawn() >> 31 ? 0 : refuses(EBUSY); return 1;
    case SYS_read:
      if (given[0] >= STAT) *answer = shows(given[0], (char *)given[1], (size_t)given[2]);
      else writes(given[1], (size_t)given[2]), *answer = drawn() >> 31 ? given[2] : 0;
      return 1;
    default: return 0;
  }
}

/* ---- the child's calls --------------------------------------------------------------------------------------------- */

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
    case SYS_fsopen: reads_string(given[0]); break;
    case SYS_fsconfig: if (given[2]) reads_string(given[2]), reads_string(given[3]); break;
    case SYS_open_tree:
    case SYS_mkdirat:
    case SYS_mknodat: reads_string(given[1]); break;
    case SYS_openat2: reads_string(given[1]), reads(given[2], (size_t)given[3]); break;
    case SYS_symlinkat: reads_string(given[0]), reads_string(given[2]); break;
    case SYS_move_mount: reads_string(given[1]), reads_string(given[3]); break;
    case MOUNT_SETATTR: reads(given[3], (size_t)given[4]); break;
    case SYS_statx: writes(given[4], sizeof(struct statx)); break;
    case SYS_wait4: writes(given[1], sizeof(int)); break;
    default: break;
  }
}

/* Calls of a view that give nothing but 0 where they succeed: many in a row, of which each takes the one before. */
static int gives_zero(long number) {
  switch (number) {
    case SYS_unshare:
    case SYS_mount:
    case SYS_umount2:
    case SYS_fsconfig:
    case SYS_move_mount:
    case SYS_mkdirat:
    case SYS_mknodat:
    case SYS_symlinkat:
    case SYS_statx:
    case SYS_fchdir:
    case SYS_pivot_root:
    case MOUNT_SETATTR: return 1;
    default: return 0;
  }
}

/* One call in eight fails, in every second run one in 128. A write always goes through, or the child would write for ever. */
long fuzz_syscall(long number, ...) {
  long given[6];
  va_list more;
  va_start(more, number);
  for (int i = 0; i < 6; i++) given[i] = va_arg(more, long);
  va_end(more);
  if (number == SYS_exit_group || ++calls > MOST_CALLS) longjmp(over, 1);
  long answer;
  if (has_init && answers_init(number, given, &answer)) return answer;
  touch(number, given);
  if (number == SYS_write) return given[2];
  if (number == SYS_getdents64) return lists(given[1], (size_t)given[2]);
  uint32_t draw = drawn() >> 16;
  if (number == SYS_execve || number == SYS_execveat || draw % one_in == 0) {
    errno = draw % 3 ? ENOENT : EINTR;
    return -1;
  }
  if (gives_zero(number)) return 0;
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
  one_in = seed & 1 ? 8 : 128;
  calls = 0;
  has_init = 0;
  if (calls_a_hook(launch)) return;
  if (!setjmp(over)) child_run(launch);
}

void fuzz_run_init(struct launch *launch, const struct init_plan *plan, uint32_t seed) {
  state = seed;
  calls = 0;
  has_init = 1;
  clock_ns = 1000000000;
  if (calls_a_hook(launch)) return;
  if (!setjmp(over)) init_run(launch, plan);
  for (int i = 0; i < MAPPINGS; i++) {
    if (mappings[i].base) munmap(mappings[i].base, mappings[i].size);
    mappings[i].base = NULL;
  }
}
