/* Whether a child has got to its program, asked of its status pipe first.
 *
 * The end of the status pipe means execve, or death: then the child is gone from our memory either way, but its pidfd may be a
 * moment behind. Reading a word of its memory distinguishes the two: no such process, or another memory. A program may end its
 * first thread, and with it what can be read there, and run on: then /proc shows whether it has executed.
 *
 * Ownership. The children are the table's; events are added to the wake-up's batch. */
#ifndef AIOSPAWN_PARENT_LAUNCH_OUTCOME_H
#define AIOSPAWN_PARENT_LAUNCH_OUTCOME_H

#include "wakeup.h"

/* Reads what the child has reported; `ended`: nothing comes behind what is there. Changes the child's state, and adds STARTED
 * when its program runs. A failure is reported when the child is reaped. */
void launch_outcome_read(struct wakeup *wakeup, struct child *child, int ended);
/* The same before the child's other descriptors are looked at, whether its status pipe is ready or not: another process, forked
 * meanwhile, may hold back the pipe's end. `ended`: it has exited. */
void launch_outcome_look(struct wakeup *wakeup, struct child *child, int ended);
/* Its pooled status pipe has ended. */
void launch_outcome_left(struct wakeup *wakeup, struct child *child);
/* The program has run: adds STARTED, where anybody waits for it. */
void launch_outcome_started(struct wakeup *wakeup, struct child *child);
/* Has a child that is ending, not yet reaped by us, never got to its program? Then it was killed, or was a launcher without a
 * request; one that was reaped by another thread or process is taken to have run. */
int launch_outcome_never_ran(const struct child *child);

#endif
