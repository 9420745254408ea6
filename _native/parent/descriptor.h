/* What is done to a descriptor number before it is used. Who owns a descriptor, owns it under its new number. */
#ifndef AIOSPAWN_PARENT_DESCRIPTOR_H
#define AIOSPAWN_PARENT_DESCRIPTOR_H

#include "child/launch.h"

/* Moves *fd to a number that is not below `lowest`: 0, 1, 2 are the program's. 0 or a negated errno; then *fd is -1 and nothing is
 * open. */
int descriptor_lift(int *fd, int lowest);
/* The same with an end of the child's: to a number that none of its steps writes to. */
int descriptor_lift_end(int32_t *end, const struct launch *launch);
/* Has any process a POSIX lock on its file? A question for a lock of the open file description (fcntl(2), Linux 3.15) is answered
 * with this process's own, too. */
int descriptor_is_locked(int fd);

#endif
