/* The stretch between clone and execve, and the stub that enters it. child.c says what may happen there. */
#ifndef AIOSPAWN_CHILD_H
#define AIOSPAWN_CHILD_H

#include "aiospawn.h"

/* Everything one child in flight reads. It lies in the slot that the child borrows, beside its stack, and is written by the
 * parent before the clone; the child writes nothing but its stack. */
struct flight {
  const struct aiospawn_step *steps;
  uint32_t step_count;
  const unsigned char *data;
  const char *const *candidates;   /* NULL-terminated, like the two below */
  const char *const *arguments;
  const char *const *variables;
  int status;                      /* write end of the status pipe, above top */
  int ends[AIOSPAWN_STREAMS];      /* the child's ends of the pipes, above top, or -1 */
  int top;                         /* the highest descriptor number that the steps write to */
  int clear_handlers;              /* the clone could not do it */
  int has_close_range;
  uint64_t mask;                   /* the signal mask for the program */
  int32_t alive;                   /* the kernel clears it (CLONE_CHILD_CLEARTID) when the child has left this memory */
};

/* What a child that cannot go on writes to the status pipe, smaller than PIPE_BUF, so in one piece. */
struct failure {
  int32_t error;
  uint16_t kind;                   /* enum aiospawn_step_kind */
  uint16_t index;
};

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
/* Walks the steps, executes the program, never returns. The argument is a struct flight. */
void child_run(void *flight);

#endif
