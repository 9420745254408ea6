/* What both ways of a launch have in common: by a clone (spawn.c), and by a fork of the caller's (forked_child.c).
 *
 * Ownership. Everything that is made belongs to the child, also on an error: the caller drops it (children.h). */
#ifndef AIOSPAWN_PARENT_LAUNCH_SETUP_H
#define AIOSPAWN_PARENT_LAUNCH_SETUP_H

#include "children.h"
#include "request.h"

/* Copies the request into the memory of a stack, makes the pipes, watches the parent's ends. The status pipe is still to be made. */
int launch_begin(struct child *child, const struct layout *layout, const unsigned char *request);
/* Writes the rest of the launch, when all ends are there. The mask is the program's, unless the request has one. */
void launch_finish(struct child *child, const struct aiospawn_request *head, uint64_t mask);
/* Watches the pidfd, out of the way of the standard streams. */
int launch_watch(struct child *child);

#endif
