/* Steps on signals, and what keeps one from dumping a core of the parent's memory. Under the contract of child.c. */
#include <signal.h>
#include <stddef.h>

#include "steps.h"

enum { SIGNALS = 64 };

/* libc's headers do not say whether a processor's kernel has the restorer (SA_RESTORER of <asm/signal.h>). */
#if defined(__riscv) || defined(__loongarch__) || defined(__mips__)
#define HAS_RESTORER 0
#else
#define HAS_RESTORER 1
#endif
#if defined(__x86_64__) || defined(__i386__)
enum { WITH_RESTORER = 0x04000000 };
#else
enum { WITH_RESTORER = 0 };
#endif

struct kernel_sigaction {
  void (*handler)(int);
  unsigned long flags;
#if HAS_RESTORER
  void (*restorer)(void);
#endif
  uint64_t mask;
};

/* The first action of the signal, the second becomes what it was; either may be NULL. */
static long act(int number, const struct kernel_sigaction *action, struct kernel_sigaction *before) {
  return sys4(SYS_rt_sigaction, number, (long)action, (long)before, sizeof action->mask);
}

long signal_set(int number, void (*handler)(int)) {
  struct kernel_sigaction action;
  action.handler = handler;
  action.flags = 0;
#if HAS_RESTORER
  action.restorer = NULL;
#endif
  action.mask = 0;
  return act(number, &action, NULL);
}

int signal_is_ignored(int number) {
  struct kernel_sigaction action = {0};
  return act(number, NULL, &action) == 0 && action.handler == SIG_IGN;
}

void signal_clear_handlers(void) {
  for (int number = 1; number <= SIGNALS; number++) {
    struct kernel_sigaction action = {0};
    if (act(number, NULL, &action) < 0) continue;
    if (action.handler != SIG_DFL && action.handler != SIG_IGN) signal_set(number, SIG_DFL);
  }
}

/* A handler ends with the execve, as the default action it stands for goes on behind it. It runs on the child's stack. */
__attribute__((noreturn)) static void die(int number) {
  (void)number;
  sys2(SYS_kill, sys0(SYS_getpid), SIGKILL);
  for (;;) sys1(SYS_exit_group, EXIT_LOST);
}

void signal_guard(void) {
  static const unsigned char dumping[] = {
      SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS,
#ifdef SIGEMT
      SIGEMT,
#endif
  };
  struct kernel_sigaction guard, before;
  /* The first process of a PID namespace is not ended by a default action, nor by its own SIGKILL (pid_namespaces(7)). */
  if (sys0(SYS_getpid) == 1) return;
  guard.handler = die;
  guard.flags = WITH_RESTORER;
#if HAS_RESTORER
  guard.restorer = (void (*)(void))die; /* never returned to, but x86 makes no frame without one */
#endif
  guard.mask = ~(uint64_t)0;
  for (unsigned i = 0; i < sizeof dumping; i++) {
    before.handler = SIG_DFL;
    act(dumping[i], &guard, &before);
    if (before.handler == SIG_IGN) act(dumping[i], &before, NULL); /* the program inherits that */
  }
}

/* The kernel dumps memory, not a process: of a child that shares its parent's memory it would show the parent's secrets, and
 * before Linux 5.16 it ended every process that shares them. A copy has a "dumpable" flag of its own, which the execve sets anew. */
void core_forbid(struct step_context *context) {
  enum { SET_DUMPABLE = 4 };
  if (context->no_core) return;
  context->no_core = 1;
  if (context->launch->memory == MEMORY_SHARED) signal_guard();
  if (context->launch->memory == MEMORY_COPIED) sys5(SYS_prctl, SET_DUMPABLE, 0, 0, 0, 0);
}

static long set_all(uint64_t mask, void (*handler)(int)) {
  for (int number = 1; number <= SIGNALS; number++) {
    if (!(mask >> (number - 1) & 1)) continue;
    long result = signal_set(number, handler);
    if (result < 0) return result;
  }
  return 0;
}

long step_sigdefault(struct step_context *context, const struct aiospawn_step *step) {
  (void)context;
  return set_all((uint64_t)step->value, SIG_DFL);
}

long step_sigignore(struct step_context *context, const struct aiospawn_step *step) {
  (void)context;
  return set_all((uint64_t)step->value, SIG_IGN);
}
