/* Makes a child that runs a function on a stack of its own.
 *
 * Ownership. Stack and words are the caller's, and are to stay until the child has left this memory; the pidfd is the caller's to close. */
#ifndef AIOSPAWN_CHILD_CLONE_H
#define AIOSPAWN_CHILD_CLONE_H

#include <stdint.h>

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
