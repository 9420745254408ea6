#ifndef AIOSPAWN_DESCRIPTOR_H
#define AIOSPAWN_DESCRIPTOR_H

/* Moves *fd to a number that is not below `lowest`: 0, 1, 2 are the program's, and a plan writes up to its top. 0 or a
 * negated errno; then *fd is -1 and nothing is open. */
int descriptor_lift(int *fd, int lowest);

#endif
