/* The stub that makes a child and enters it. Compiled like child.c, under the same contract. */
#include "clone.h"

#include <signal.h>
#include <stddef.h>

#include "sys.h"

#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif

/* struct clone_args of <linux/sched.h> as of Linux 5.3: from the size the kernel knows which version it is given. */
struct clone_args_v0 {
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};

#if AIOSPAWN_STUB && defined(__x86_64__)

/* The child begins on an empty stack: it cannot return from here, so it calls `run` within the stub. */
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

struct entry {
  void (*run)(void *);
  void *argument;
};

static int enter_by_libc(void *entry) {
  struct entry *to = entry;
  to->run(to->argument);
  return 127;
}

/* No stub for this processor: libc's clone, always with CLONE_VFORK (see AIOSPAWN_HAS_STUB), so `entry` outlives it. */
static long legacy_clone(uint64_t flags, void *stack, int *pidfd, int32_t *alive, void (*run)(void *), void *argument) {
  struct entry entry = {run, argument};
  int pid = clone(enter_by_libc, stack, (int)flags, &entry, pidfd, NULL, alive);
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
        .exit_signal = plan->flags & CLONE_AUTOREAP ? 0 : SIGCHLD,
        .stack = (uintptr_t)plan->stack,
        .stack_size = plan->stack_size,
    };
    return enter(SYS_clone3, (long)&args, sizeof args, 0, 0, 0, run, argument);
  }
#endif
  return legacy_clone(plan->flags | SIGCHLD, plan->stack + plan->stack_size, plan->pidfd, plan->alive, run, argument);
}
