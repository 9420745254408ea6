/* Children that outlive their reactor: nobody hears of their ends any more, but they have to be reaped.
 *
 * No thread waits for them and no signal handler: they are looked at when something of ours is used the next time. The pidfd of
 * each is kept until then, so that another process with the same number cannot be meant. All of them are in one epoll set: a look
 * costs one system call, however many live, and none where there are no such children, who then have no descriptor either. */
#ifndef AIOSPAWN_LEFT_H
#define AIOSPAWN_LEFT_H

#include <limits.h>

/* Takes the pidfd over, out of every epoll set; with the state lock held, so that a fork finds it somewhere. Where there is no
 * memory, or descriptor, for a place it is closed, and the child stays a zombie at its end. */
void left_keep(int pidfd);

enum { LEFT_AT_A_LAUNCH = 16, LEFT_ALL = INT_MAX };
/* Reaps of those that have ended at most so many. A launch, which leaves one child at the most, need not be held up by all. */
void left_reap(int most);

/* In the child of a fork: they are its parent's. */
void left_let_go(void);

#endif
