/* The pipes of a launch: those of the three streams, or a pseudo terminal instead of them, and the status pipe.
 *
 * Every descriptor belongs to the child as soon as it is open: the parent's ends are its watched descriptors, closed with it; its
 * own ends go with child_close_ends(). On an error the caller drops the child, which closes what was opened. */
#ifndef AIOSPAWN_PARENT_PIPES_H
#define AIOSPAWN_PARENT_PIPES_H

#include "aiospawn.h"
#include "children.h"

/* Makes what the request asks for and watches the parent's ends of the streams. 0 or a negated errno. */
int pipes_open(struct child *child, const struct aiospawn_request *head);
/* Where the child reports how its launch goes. Into our memory (`by_memory`: it can): then nothing needs to wake the loop where nobody
 * waits until the program runs, and else a pipe of the pool does. Or into a pipe of its own. 0 or a negated errno. */
int status_open(struct child *child, struct status_pool *pool, int by_memory);

#endif
