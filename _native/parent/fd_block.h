/* Reserved descriptors: how a child shares its parent's descriptor table for a moment instead of being given a copy.
 *
 * Copying the table costs the parent 20 ns a descriptor. A child cloned with CLONE_FILES copies nothing; it leaves the shared
 * table at once, by close_range(top + 1, ~0, CLOSE_RANGE_UNSHARE), which copies only what lies up to `top`. So what the child
 * keeps must have low numbers. The reserved block is 128 such numbers of this process, filled with a placeholder, in 25 segments
 * of five: one number for each end that a child may have. A launch duplicates the child's ends, and the streams that the child
 * inherits, onto the numbers of a free segment. The launcher's own descriptor is not duplicated: where its number lies above the
 * block, the table is copied.
 *
 * Rules, each with its reason:
 *  - until it has left the table, the child touches no descriptor: it would be the parent's;
 *  - `top + 1` is a multiple of 64: the copy rounds up, and what lies between would be closed in the child, which flushes
 *    files of slow file systems while the table is still shared;
 *  - what the child is to have is duplicated at the launch: the parent runs on and may change its own numbers;
 *  - putting the placeholder back is a close, and closing any duplicate of a regular file drops the process's POSIX locks on
 *    it: such a stream stays where it is, the copy has it with the numbers up to `top`, and the launch waits until the child
 *    has left the table. A lock on what else a stream may be is rare: it is looked for, here and before the number is given back;
 *  - the process may lose the numbers (a daemonizing closerange, a lowered RLIMIT_NOFILE): the placeholder has an inode of
 *    its own, and is looked at before each use; so is what was put on a number, before it is taken from there;
 *  - a child with a table of its own has copies of what the segments of other children hold: it closes them first
 *    (child/child.c), since it may take long to get to its execve;
 *  - a loop may be closed before its children have left the table: until a child has, or its stack is used for another launch,
 *    the segment refers to the child's launch;
 *  - a table that must grow while it is shared makes the parent wait for an RCU grace period, 16 ms: it is grown before.
 *
 * Ownership. The numbers and everything on them belong to the block; a launch that takes a segment fills it and gives it back. What
 * is duplicated onto it stays the caller's, which closes its own descriptor. All functions may be called from any thread.
 */
#ifndef AIOSPAWN_PARENT_FD_BLOCK_H
#define AIOSPAWN_PARENT_FD_BLOCK_H

#include <stdint.h>

#include "child/launch.h"

/* Where new descriptors get numbers below the threshold, the copy costs less than the duplicating, or than the waiting. */
enum { FD_BLOCK_NONE = -1, FD_BLOCK_WIDTH = AIOSPAWN_ENDS, FD_BLOCK_NEAR = 256, FD_BLOCK_THRESHOLD = 512,
       FD_BLOCK_AWAITED_THRESHOLD = 1024 };

/* A launch was just given this number. The block is given back where it is low, for every launch copies it, and reserved where it comes
 * near the threshold. */
void fd_block_fit(int number);
/* A free segment, from now on the caller's, or FD_BLOCK_NONE: none gets free within the time that the copy would take (`lowest_new`
 * is a number that the launch was just given), or the block cannot be had. */
int fd_block_take(int lowest_new);
/* Duplicates the descriptors (-1: none) onto the segment's numbers; those of `inherited`, by bit, are streams of this process, which
 * may lock their files. 0: it could not, and the segment is given back. */
int fd_block_fill(int segment, const int32_t *descriptors, unsigned inherited);
/* The segment's first number; the block's first, and the first beyond the block. */
int fd_block_number(int segment);
void fd_block_range(int *first, int *beyond);
/* The child of this launch uses the segment, which other launches give back once the child has left the table, or its memory; until
 * then the launch must stay where it is. NULL: only the caller gives it back. */
void fd_block_lend(int segment, const struct launch *launch);
/* The child has left the table, or was never made. Nothing happens if the segment was given back already. */
void fd_block_give_back(int segment, const struct launch *launch);
/* The memory of a launch whose child is gone is about to be used for another. */
void fd_block_forget(const struct launch *launch);
/* Gives back every segment whose child has left the table. */
void fd_block_collect(void);
/* The same; then `filled` says which numbers of the block hold ends of children, counted from the block's first, by bit. */
void fd_block_filled(uint64_t filled[FD_BLOCK_WORDS]);

/* Round a fork, in the parent; and in the child of the fork, which has no children. */
void fd_block_lock(void);
void fd_block_unlock(void);
void fd_block_after_fork(void);

#endif
