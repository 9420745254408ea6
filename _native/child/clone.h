/* Makes a child that runs a function on a stack of its own.
 *
 * Ownership. Stack and words are the caller's, and are to stay until the child has left this memory; the pidfd is the caller's to close. */
#ifndef AIOSPAWN_CHILD_CLONE_H
#define AIOSPAWN_CHILD_CLONE_H

#include <linux/sched.h>
#include <stdint.h>

/* Linux 7.1, younger than the headers this builds with, and clone3's alone. Of a child with both the kernel sends SIGKILL where the
 * pidfd of the clone has been closed everywhere, by whatever death of its holder, and reaps it by itself: there is no signal and no
 * zombie, and its status is the pidfd's to tell (PIDFD_GET_INFO). It takes CAP_SYS_ADMIN, or CLONE_NNP. */
#ifndef CLONE_AUTOREAP
#define CLONE_AUTOREAP 0x400000000ULL
#endif
#ifndef CLONE_NNP
#define CLONE_NNP 0x800000000ULL
#endif
#ifndef CLONE_PIDFD_AUTOKILL
#define CLONE_PIDFD_AUTOKILL 0x1000000000ULL
#endif

struct clone_plan {
  uint64_t flags;                  /* without CLONE_CLEAR_SIGHAND and the exit signal */
  int use_clone3;                  /* with CLONE_CLEAR_SIGHAND */
  unsigned char *stack;
  uint64_t stack_size;
  int *pidfd;
  int32_t *alive;
};

/* The child's pid, or a negated errno. All signals must be blocked. */
long child_clone(const struct clone_plan *plan, void (*run)(void *), void *argument);

#endif
