/* Slots: the stack and the request memory that a child in flight borrows from its parent. One pool for the process. */
#ifndef AIOSPAWN_SLOTS_H
#define AIOSPAWN_SLOTS_H

#include <stddef.h>

#include "child/launch.h"

enum { SLOT_STACK = 64 * 1024 };  /* the contract of hooks: at least this much, a guard page below */

struct slot {
  struct slot *next;
  unsigned char *stack;            /* its lowest byte, SLOT_STACK of them */
  unsigned char *room;             /* request memory */
  size_t room_size;
  unsigned char *large;            /* instead of room, for one launch */
  size_t large_size;
  struct flight flight;
};

/* A slot with `size` bytes of request memory in *memory, or NULL: out of memory. */
struct slot *slot_acquire(size_t size, unsigned char **memory);
/* The child has left this memory, or never was. */
void slot_release(struct slot *slot);
/* Nobody will tell when the child leaves: the slot waits for its flight's `alive` word to clear. */
void slot_abandon(struct slot *slot);

/* Round a fork: the child's copy of the pool must not be in mid-change; and in the child, where nobody else is in this memory. */
void slots_lock(void);
void slots_unlock(void);
void slots_after_fork(void);

#endif
