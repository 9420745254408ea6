/* Children that outlive their reactor: nothing reports their ends any more, but they have to be reaped.
 *
 * No thread waits for them and no signal handler: they are looked at when something of ours is used the next time, one after the
 * other, those that live at the end again. The pidfd of each is kept until then, so that another process with the same number
 * cannot be meant; and its number is looked at before it is used, for programs close descriptors that they do not know. */
#ifndef AIOSPAWN_PARENT_ORPHANS_H
#define AIOSPAWN_PARENT_ORPHANS_H

#include <limits.h>

/* Takes the pidfd over, out of every epoll set; with the state lock held, so that a fork finds it somewhere. Where there is no
 * memory for a place it is closed, and the child stays a zombie at its end. */
void orphans_keep(int pid, int pidfd);

enum { ORPHANS_AT_A_LAUNCH = 4, ORPHANS_ALL = INT_MAX };
/* Looks at so many at most, and reaps those that have ended. A launch, which leaves one child at the most, is not held up by all. */
void orphans_reap(int most);

/* In the child of a fork: they are its parent's. */
void orphans_after_fork(void);

#endif
