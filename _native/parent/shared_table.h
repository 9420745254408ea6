/* A launch whose child shares the descriptor table for a moment, instead of getting a copy: what is at the head of fd_block.h,
 * applied to one child.
 *
 * Ownership. The segment belongs to the child until child_leave_table(). */
#ifndef AIOSPAWN_PARENT_SHARED_TABLE_H
#define AIOSPAWN_PARENT_SHARED_TABLE_H

#include "aiospawn.h"
#include "children.h"

/* Moves the child's ends into a segment of the block, so that the clone need not copy the descriptor table. Nothing happens where
 * that does not pay or cannot be. */
void shared_table_enter(struct child *child, const struct aiospawn_request *head);
/* For a child with a copy of the table: which numbers hold other children's ends, for it to close first. Those that can be given
 * back are given back before, for a child may be stopped before it does anything. */
void shared_table_list_siblings(struct launch *launch);
/* The child gets a copy after all, and its own ends are in the block: not to be closed. */
void shared_table_spare_ends(struct launch *launch);
/* Waits until the child has left the table. 0: it has not in time, and will do nothing any more. */
int shared_table_await(struct launch *launch);

#endif
