/* The child, from clone to execve.
 *
 * It shares the parent's memory and the thread-local storage of a thread that is running meanwhile. Hence the contract:
 *
 *  - raw system calls only: no libc call, so no errno, no malloc, no lock, no lazy binding. libc's sigaction takes a lock
 *    that another thread may hold for good (glibc >= 2.41); libc's set*id signals all threads of the parent.
 *    The file is compiled without stack protector, builtins and sanitizers; a test reads its undefined symbols.
 *  - it reads its struct flight and writes its own stack. What it has to say goes through the status pipe.
 *  - all signals stay blocked until the handlers are gone: a handler of the parent would run here, on the parent's memory.
 *  - it never returns: on x86 the caller's shadow stack is not ours.
 *  - nothing that acts on the shared memory's owner: credentials clear the parent's dumpable flag, oom_score_adj and
 *    prctl(PR_SET_MM ...) are the parent's too. Such steps run in a clone that shares no memory.
 */
#include "child.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stddef.h>

#include "sys.h"

#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif

enum { EXIT_LOST = 127, SIGNALS = 64 };

/* As the kernel has it; libc's struct sigaction is laid out otherwise. */
struct kernel_sigaction {
  void (*handler)(int);
  unsigned long flags;
#ifdef SA_RESTORER
  void (*restorer)(void);
#endif
  uint64_t mask;
};

/* struct clone_args of <linux/sched.h> as of Linux 5.3: the size tells the kernel which version it is given. */
struct clone_args_v0 {
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};

struct walk {
  const struct flight *flight;
  int saved[AIOSPAWN_MAX_SAVED];
};

/* ---- entering ------------------------------------------------------------------------------------------------------ */

#if AIOSPAWN_STUB && defined(__x86_64__)

/* The child wakes up on an empty stack: it cannot return from here, so it calls `run` within the stub. */
static long enter(long number, long a, long b, long c, long d, long e, void (*run)(void *), void *argument) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register void (*r12)(void *) __asm__("r12") = run;
  register void *r13 __asm__("r13") = argument;
  __asm__ volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "mov %%r13, %%rdi\n\t"
      "call *%%r12\n\t"
      "hlt\n"
      "1:"
      : "=a"(result)
      : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r12), "r"(r13)
      : "rcx", "r11", "memory", "cc");
  return result;
}

static long legacy_clone(uint64_t flags, void *stack, int *pidfd, int32_t *alive, void (*run)(void *), void *argument) {
  return enter(SYS_clone, (long)flags, (long)stack, (long)pidfd, (long)alive, 0, run, argument);
}

#elif AIOSPAWN_STUB && defined(__aarch64__)

static long enter(long number, long a, long b, long c, long d, long e, void (*run)(void *), void *argument) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register void (*x20)(void *) __asm__("x20") = run;
  register void *x21 __asm__("x21") = argument;
  __asm__ volatile(
      "svc 0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, xzr\n\t"
      "mov x30, xzr\n\t"
      "mov x0, x21\n\t"
      "blr x20\n\t"
      "brk 0\n"
      "1:"
      : "+r"(x0)
      : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x20), "r"(x21)
      : "memory", "cc");
  return x0;
}

static long legacy_clone(uint64_t flags, void *stack, int *pidfd, int32_t *alive, void (*run)(void *), void *argument) {
  return enter(SYS_clone, (long)flags, (long)stack, (long)pidfd, 0, (long)alive, run, argument);
}

#else

#include <sched.h>

struct landing {
  void (*run)(void *);
  void *argument;
};

static int land(void *landing) {
  struct landing *to = landing;
  to->run(to->argument);
  return EXIT_LOST;
}

/* No stub for this processor: libc's clone, always with CLONE_VFORK (see AIOSPAWN_HAS_STUB), so `landing` outlives it. */
static long legacy_clone(uint64_t flags, void *stack, int *pidfd, int32_t *alive, void (*run)(void *), void *argument) {
  struct landing landing = {run, argument};
  int pid = clone(land, stack, (int)flags, &landing, pidfd, NULL, alive);
  return pid == -1 ? -errno : pid;
}

#endif

long child_clone(const struct clone_plan *plan, void (*run)(void *), void *argument) {
#if AIOSPAWN_STUB
  if (plan->use_clone3) {
    struct clone_args_v0 args = {
        .flags = plan->flags | CLONE_CLEAR_SIGHAND,
        .pidfd = (uintptr_t)plan->pidfd,
        .child_tid = (uintptr_t)plan->alive,
        .exit_signal = SIGCHLD,
        .stack = (uintptr_t)plan->stack,
        .stack_size = plan->stack_size,
    };
    return enter(SYS_clone3, (long)&args, sizeof args, 0, 0, 0, run, argument);
  }
#endif
  return legacy_clone(plan->flags | SIGCHLD, plan->stack + plan->stack_size, plan->pidfd, plan->alive, run, argument);
}

/* ---- leaving ------------------------------------------------------------------------------------------------------- */

__attribute__((noreturn)) static void quit(void) {
  for (;;) sys1(SYS_exit_group, EXIT_LOST);
}

__attribute__((noreturn)) static void fail(const struct walk *walk, long error, uint32_t kind, uint32_t index) {
  struct failure failure = {.error = (int32_t)-error, .kind = (uint16_t)kind, .index = (uint16_t)index};
  /* The parent may be gone: SIGPIPE is blocked like every signal, and stays so. */
  while (sys3(SYS_write, walk->flight->status, (long)&failure, sizeof failure) == -4 /* EINTR */) {
  }
  quit();
}

/* ---- steps --------------------------------------------------------------------------------------------------------- */

static int operand(const struct walk *walk, int fd) { return fd < 0 ? walk->flight->ends[-1 - fd] : fd; }

static long become(int from, int number) {
  if (from != number) return sys3(SYS_dup3, from, number, 0);
  long flags = sys2(SYS_fcntl, from, F_GETFD);
  return flags < 0 ? flags : sys3(SYS_fcntl, from, F_SETFD, flags & ~FD_CLOEXEC);
}

static long step_save(struct walk *walk, const struct aiospawn_step *step) {
  long fd = sys3(SYS_fcntl, operand(walk, step->fd), F_DUPFD_CLOEXEC, walk->flight->top + 1);
  if (fd >= 0) walk->saved[step->value] = (int)fd;
  return fd;
}

static long step_dup(struct walk *walk, const struct aiospawn_step *step) {
  return become(operand(walk, step->fd), (int)step->value);
}

static long step_dup_saved(struct walk *walk, const struct aiospawn_step *step) {
  return become(walk->saved[step->fd], (int)step->value);
}

static long step_open(struct walk *walk, const struct aiospawn_step *step) {
  const char *path = (const char *)walk->flight->data + step->data;
  long fd = sys4(SYS_openat, AT_FDCWD, (long)path, step->value & 0xffffffff, step->value >> 32);
  if (fd < 0 || fd == step->fd) return fd;
  long result = sys3(SYS_dup3, fd, step->fd, 0);
  sys1(SYS_close, fd);
  return result;
}

static long close_each(int first, int last) {
  for (int fd = first; fd <= last; fd++) sys1(SYS_close, fd);
  return 0;
}

/* Linux < 5.9. Without /proc the highest number is unknown: as far as the limit goes, as CPython does. */
static long close_listed(int first, int last) {
  struct {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
  } *entry;
  char listing[4096] __attribute__((aligned(8)));
  long directory = sys4(SYS_openat, AT_FDCWD, (long)"/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (directory < 0) {
    uint64_t limit[2] = {1024, 1024};
    sys4(SYS_prlimit64, 0, 7 /* RLIMIT_NOFILE */, 0, (long)limit);
    return close_each(first, (uint64_t)last < limit[0] ? last : (int)limit[0] - 1);
  }
  long length;
  while ((length = sys3(SYS_getdents64, directory, (long)listing, sizeof listing)) > 0) {
    for (long at = 0; at < length; at += entry->length) {
      entry = (void *)(listing + at);
      int fd = 0;
      const char *digit = entry->name;
      if (*digit < '0' || *digit > '9') continue;
      for (; *digit >= '0' && *digit <= '9'; digit++) fd = fd * 10 + (*digit - '0');
      if (fd >= first && fd <= last && fd != directory) sys1(SYS_close, fd);
    }
  }
  sys1(SYS_close, directory);
  return 0;
}

static long close_between(const struct walk *walk, int first, int last) {
  if (first > last) return 0;
  if (walk->flight->has_close_range) return sys3(SYS_close_range, first, last, 0);
  return close_listed(first, last);
}

static long step_close(struct walk *walk, const struct aiospawn_step *step) {
  int first = step->fd, last = (int)step->value;
  if (walk->flight->status < first || walk->flight->status > last) return close_between(walk, first, last);
  long below = close_between(walk, first, walk->flight->status - 1);
  long above = close_between(walk, walk->flight->status + 1, last);
  return below < 0 ? below : above;
}

static long step_chdir(struct walk *walk, const struct aiospawn_step *step) {
  return sys1(SYS_chdir, (long)(walk->flight->data + step->data));
}

static long step_umask(struct walk *walk, const struct aiospawn_step *step) {
  (void)walk;
  return sys1(SYS_umask, step->value);
}

static long step_setsid(struct walk *walk, const struct aiospawn_step *step) {
  (void)walk, (void)step;
  return sys0(SYS_setsid);
}

static long step_setpgid(struct walk *walk, const struct aiospawn_step *step) {
  (void)walk;
  return sys2(SYS_setpgid, 0, step->value);
}

static long set_default(int number) {
  struct kernel_sigaction action = {.handler = SIG_DFL};
  return sys4(SYS_rt_sigaction, number, (long)&action, 0, sizeof action.mask);
}

static long step_sigdefault(struct walk *walk, const struct aiospawn_step *step) {
  (void)walk;
  for (int number = 1; number <= SIGNALS; number++) {
    if (!((uint64_t)step->value >> (number - 1) & 1)) continue;
    long result = set_default(number);
    if (result < 0) return result;
  }
  return 0;
}

static long step_setgroups(struct walk *walk, const struct aiospawn_step *step) {
  return sys2(SYS_setgroups, step->value, (long)(walk->flight->data + step->data));
}

static long step_setgid(struct walk *walk, const struct aiospawn_step *step) {
  (void)walk;
  return sys3(SYS_setresgid, step->value, step->value, step->value);
}

static long step_setuid(struct walk *walk, const struct aiospawn_step *step) {
  (void)walk;
  return sys3(SYS_setresuid, step->value, step->value, step->value);
}

typedef long step_function(struct walk *, const struct aiospawn_step *);

static step_function *const steps[AIOSPAWN_STEP_KINDS] = {
    [AIOSPAWN_STEP_SAVE] = step_save,
    [AIOSPAWN_STEP_DUP] = step_dup,
    [AIOSPAWN_STEP_DUP_SAVED] = step_dup_saved,
    [AIOSPAWN_STEP_OPEN] = step_open,
    [AIOSPAWN_STEP_CLOSE] = step_close,
    [AIOSPAWN_STEP_CHDIR] = step_chdir,
    [AIOSPAWN_STEP_UMASK] = step_umask,
    [AIOSPAWN_STEP_SETSID] = step_setsid,
    [AIOSPAWN_STEP_SETPGID] = step_setpgid,
    [AIOSPAWN_STEP_SIGDEFAULT] = step_sigdefault,
    [AIOSPAWN_STEP_SETGROUPS] = step_setgroups,
    [AIOSPAWN_STEP_SETGID] = step_setgid,
    [AIOSPAWN_STEP_SETUID] = step_setuid,
};

/* ---- the walk ------------------------------------------------------------------------------------------------------ */

/* Handlers to default, ignored signals stay ignored: what CLONE_CLEAR_SIGHAND does. */
static void clear_handlers(void) {
  for (int number = 1; number <= SIGNALS; number++) {
    struct kernel_sigaction action;
    if (sys4(SYS_rt_sigaction, number, 0, (long)&action, sizeof action.mask) < 0) continue;
    if (action.handler != SIG_DFL && action.handler != SIG_IGN) set_default(number);
  }
}

/* Every candidate is tried; the first error that is more than an absence counts, as in CPython. */
static long execute(const struct flight *flight) {
  long found = 0, result = -2 /* ENOENT */;
  for (const char *const *path = flight->candidates; *path; path++) {
    result = sys3(SYS_execve, (long)*path, (long)flight->arguments, (long)flight->variables);
    if (result != -2 /* ENOENT */ && result != -20 /* ENOTDIR */ && !found) found = result;
  }
  return found ? found : result;
}

void child_run(void *argument) {
  struct walk walk;
  walk.flight = argument;
  if (walk.flight->clear_handlers) clear_handlers();
  for (uint32_t index = 0; index < walk.flight->step_count; index++) {
    const struct aiospawn_step *step = &walk.flight->steps[index];
    long result = steps[step->kind](&walk, step);
    if (result < 0) fail(&walk, result, step->kind, index);
  }
  /* From here on a pending signal may end the child: by its default action, in its own name. */
  sys_sigmask(&walk.flight->mask, NULL);
  fail(&walk, execute(walk.flight), AIOSPAWN_STEP_EXECVE, walk.flight->step_count);
}
