/* Landing slots: how a child shares its parent's descriptor table for a moment instead of copying it.
 *
 * Copying the table costs the parent 20 ns a descriptor. A child cloned with CLONE_FILES copies nothing; it leaves the shared
 * table at once, by close_range(top + 1, ~0, CLOSE_RANGE_UNSHARE), which copies only what lies up to `top`. So what the
 * child keeps must have low numbers: a block of 128 is reserved for the process, filled with a placeholder, and a launch
 * duplicates the child's ends, inherited streams too, onto a slot of it, which has a number for each end that there may be.
 * The launcher's own descriptor is not duplicated: its number lies below the block, or the launch does not land.
 *
 * Rules, each from a break:
 *  - until it has left, the child touches no descriptor: it would be the parent's;
 *  - `top + 1` is a multiple of 64: the copy rounds up, and what lies between would be closed in the child, which flushes
 *    files of slow file systems while the table is still shared;
 *  - what the child is to have is duplicated at the launch: the parent runs on and may change its own numbers;
 *  - putting the placeholder back is a close, and closing any duplicate of a regular file drops the process's POSIX locks on
 *    it: such a stream stays where it is, the copy has it with the numbers up to `top`, and the launch waits until the child
 *    has left;
 *    A lock on what else a stream may be is rare: it is looked for, here and before the number is given back;
 *  - the numbers can be taken from us (a daemonizing closerange, a lowered RLIMIT_NOFILE): the placeholder has an inode of
 *    its own, and is looked at before each use; so is what was put on a number, before it is taken from there;
 *  - a child with a table of its own has copies of what other children's slots hold: it closes them first (child/child.c), for it
 *    may linger;
 *  - a loop may be closed while its children are on their way: until a child has left, or its memory is used anew, the slot
 *    looks at the child's flight;
 *  - a table that must grow while it is shared makes the parent wait for an RCU grace period, 16 ms: it is grown before.
 */
#ifndef AIOSPAWN_LANDING_H
#define AIOSPAWN_LANDING_H

#include <stdint.h>

#include "child/launch.h"

/* Where new descriptors get numbers below the threshold, the copy costs less than the duplicating, or than the waiting. */
enum { LANDING_NONE = -1, LANDING_WIDTH = AIOSPAWN_ENDS, LANDING_THRESHOLD = 256, LANDING_AWAITED_THRESHOLD = 1024 };

/* A free slot, or LANDING_NONE: none gets free within the time that the copy would take (`lowest_new` is a number the launch
 * was just given), or the block cannot be had. */
int landing_take(int lowest_new);
/* Duplicates the descriptors (-1: none) onto the slot's numbers; those of `inherited`, by bit, are the program's, who may lock
 * them. 0: it could not, and the slot is given back. */
int landing_fill(int slot, const int32_t *descriptors, unsigned inherited);
/* The slot's first number, the block's first, and the first beyond the block. */
int landing_first(int slot);
void landing_block(int *first, int *beyond);
/* The child of this flight uses the slot. Once it has left the table, or its memory, whoever looks can give the slot back; until
 * then the flight must stay where it is. NULL: nobody gives it back but the caller. */
void landing_depart(int slot, const struct flight *flight);
/* The child has left, or never was. Nothing happens if the slot was given back already. */
void landing_give_back(int slot, const struct flight *flight);
/* The memory of a flight whose child is gone is about to be used for another. */
void landing_forget(const struct flight *flight);
/* Gives back what can be. */
void landing_sweep(void);
/* The same, then which numbers of the block hold ends of children, counted from the block's first, by bit. */
void landing_filled(uint64_t filled[LANDING_WORDS]);

/* Round a fork, in the parent; and in the child, where nothing is in flight. */
void landing_lock(void);
void landing_unlock(void);
void landing_after_fork(void);

#endif
