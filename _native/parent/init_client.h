/* The parent's side of a child's init (init.h): the socket that only this process has, and what goes through it. */
#ifndef AIOSPAWN_PARENT_INIT_CLIENT_H
#define AIOSPAWN_PARENT_INIT_CLIENT_H

#include <sys/uio.h>

#include "children.h"
#include "exit_status.h"

/* Makes the socket, the child's and *child_end, and sends the request, with the file that holds it (-1: none). 0 or a negated errno. */
int init_client_open(struct child *child, struct iovec *parts, int count, int file, int32_t *child_end);
/* With the state lock held: as aiospawn_signal(). */
long init_client_signal(struct child *child, int signal, int group);
/* With the state lock held: as aiospawn_signal_tree(). */
long init_client_signal_tree(const struct child *child, int signal);
/* Has init reported that it may not signal the processes that are left? */
int init_client_refuses(struct child *child);
/* What init has reported of the end: the command's status, and the resource use of the tree (NULL: not asked for). 0 where it could not,
 * for it was killed. With the state lock held. */
int init_client_end(struct child *child, int *status, struct usage *usage);

#endif
