/* The stacks on which children run until their execve, each with the memory of one request. One pool for the process.
 *
 * Ownership. A stack belongs to the launch that took it until it is given back or abandoned; the child borrows it, until it has left
 * this memory. All functions may be called from any thread. */
#ifndef AIOSPAWN_PARENT_STACK_POOL_H
#define AIOSPAWN_PARENT_STACK_POOL_H

#include <stddef.h>

#include "child/launch.h"

enum { STACK_SIZE = 64 * 1024 };  /* what hooks are promised: at least this much, a guard page below */

struct pooled_stack {
  struct pooled_stack *next;
  unsigned char *bottom;           /* the lowest byte of the stack, STACK_SIZE of them */
  unsigned char *request;          /* request memory, right above the stack */
  size_t request_size;
  unsigned char *large;            /* instead of it, for one launch */
  size_t large_size;
  struct launch launch;
};

/* A stack with `size` bytes of request memory in *memory, or NULL: out of memory. */
struct pooled_stack *stack_pool_take(size_t size, unsigned char **memory);
/* The child has left this memory, or was never made. */
void stack_pool_give_back(struct pooled_stack *stack);
/* The child is still in it, and nothing of the reactor's will notice when it leaves: the stack is used again when the launch's
 * `alive` word is clear. */
void stack_pool_abandon(struct pooled_stack *stack);

/* Round a fork: the copy of the pool must not be in mid-change; and in the child of the fork, which has no children. */
void stack_pool_lock(void);
void stack_pool_unlock(void);
void stack_pool_after_fork(void);

#endif
