/* The exit of a child: collected from the kernel, then reported.
 *
 * Ownership. The child stays in the table, and the pidfd its own where AIOSPAWN_KEEP_PIDFD says so; else it is closed here. */
#ifndef AIOSPAWN_PARENT_REAP_H
#define AIOSPAWN_PARENT_REAP_H

#include "wakeup.h"

/* Of a child whose pidfd is ready. Adds EXITED, or FAILED or DIED for one that never ran its program. Nothing happens while
 * another thread or process is reaping it: its pidfd stays ready, and so it is looked at again. */
void reap(struct wakeup *wakeup, struct child *child);

#endif
