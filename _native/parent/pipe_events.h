/* What a wake-up finds at the pipes of a child: data, space to write, an end.
 *
 * No end is reported before the data that the child's other pipes held when it was found, nor in the same wake-up: a task that
 * reads one of them would see the end before another task has seen the data. An end that has to wait stays in the set, which
 * wakes the loop again. It waits for the bytes that were there, since a writer may go on for ever.
 *
 * Ownership. What is read lies in the batch. A pipe that has ended is closed, unless it is disowned. */
#ifndef AIOSPAWN_PARENT_PIPE_EVENTS_H
#define AIOSPAWN_PARENT_PIPE_EVENTS_H

#include "wakeup.h"

/* A pipe of a child that has started. `ready` is what epoll reports of it. */
void pipe_read(struct wakeup *wakeup, struct watched_fd *watched, uint32_t ready);
void pipe_write(struct wakeup *wakeup, struct watched_fd *watched, uint32_t ready);
/* Reports the ends that were found and need not wait. Once, behind all data of the batch: all ends are to be known before. */
void pipe_report_ends(struct wakeup *wakeup);

/* A pipe that is ready before its child is known to have started leaves the set; it comes back when that is reported. */
void pipe_park(struct watched_fd *watched);
void pipe_unpark(struct wakeup *wakeup, struct watched_fd *watched);

#endif
