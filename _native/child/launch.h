/* One launch as its child reads it in the pre-exec section, from the clone to the execve.
 *
 * Ownership. It is a part of the stack that the child borrows (parent/stack_pool.h), and the parent writes it before the clone. The
 * child writes nothing but its stack, the words `left_table` and `alive`, and its record. What the pointers lead to belongs to the parent too. */
#ifndef AIOSPAWN_CHILD_LAUNCH_H
#define AIOSPAWN_CHILD_LAUNCH_H

#include "aiospawn.h"

enum { FD_BLOCK_WORDS = 2 };       /* of 64 bits, one for each number of the reserved block (parent/fd_block.h) */

/* What a child that cannot go on reports: to the status pipe, smaller than PIPE_BUF, so in one piece; or to its launch. */
struct failure {
  int32_t error;                   /* above 0 */
  uint16_t kind;                   /* enum aiospawn_step_kind */
  uint16_t index;
};

struct launch {
  const struct aiospawn_step *steps;
  uint32_t step_count;
  const unsigned char *data;
  const char *const *candidates;   /* NULL-terminated, like the two below */
  const char **arguments;
  const char *const *variables;
  int status;                      /* write end of the status pipe, or -1 */
  struct failure *record;          /* what is written instead of that pipe, `failed`; or NULL: there is one */
  struct failure failed;           /* without an error until then */
  int ends[AIOSPAWN_ENDS];         /* the child's ends of the pipes, on numbers that no step writes to, or -1 */
  int top;                         /* the highest descriptor number that the steps write to */
  int program;                     /* descriptor of the program, instead of candidates, or AIOSPAWN_NO_FD */
  uint32_t first_index;            /* of the steps within the request */
  uint32_t execve_kind;            /* what a failing execve is reported as: STEP_EXECVE, or STEP_LAUNCHER where that is executed */
  int segment;                     /* the first number of its segment in a shared table, or -1: it has a table of its own */
  int block_first, block_beyond;   /* the block's first number, and the first beyond it */
  uint64_t siblings[FD_BLOCK_WORDS]; /* with a table of its own: the block's numbers that hold ends of other children, by bit */
  unsigned inherits;               /* with a shared table: the streams to take over, by bit */
  int awaited;                     /* with a shared table: the parent waits until the child has left it, instead of a report */
  int memory;                      /* enum launch_memory */
  int clear_handlers;              /* the clone could not do it */
  int has_close_range;
  uint64_t mask;                   /* the signal mask for the program */
  int keeper;                      /* the pid of the program's init, or 0 */
  int in_new_user;                 /* the clone made a user namespace: these ids are mapped to themselves there */
  uint32_t user, group;
  int32_t left_table;              /* set by the child when it has left the shared table */
  char numbers[AIOSPAWN_ENDS * 12 + 2]; /* argv[0] of the launcher: the ends, and whether it stays */
  int32_t alive;                   /* the kernel clears it (CLONE_CHILD_CLEARTID) when the child has left this memory */
};

enum launch_memory { MEMORY_SHARED, MEMORY_COPIED, MEMORY_LAUNCHERS }; /* with the parent; from it; nothing of it is there */

enum { EXIT_LOST = 127 };          /* the exit status of a child that cannot report */

/* Values of `alive`: an awaited child sets ALIVE when it has left the table, or finds that the parent has given it up. */
enum { ALIVE_IN_TABLE = 1, ALIVE = 2, GIVEN_UP = 3 };

/* Duplicates a descriptor, close-on-exec, onto a number above 2 that no step writes to: above the top, or between the numbers of
 * the steps where the top is too near to RLIMIT_NOFILE. The number or a negated errno. */
long launch_duplicate(const struct launch *launch, int fd);

#endif
