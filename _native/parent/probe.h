/* What the kernel offers, found out by trying. aiospawn.h declares aiospawn_probe().
 *
 * Ownership. A pidfd that is returned is the caller's to close. */
#ifndef AIOSPAWN_PARENT_PROBE_H
#define AIOSPAWN_PARENT_PROBE_H

#include <stdint.h>

/* Is this negated errno one that may pass: no descriptor, process or memory was to be had? */
int is_shortage(long error);

/* Would a child made now be the first process of a PID namespace? When that one ends, no other can be made there: it is not
 * for trying. */
int child_would_be_first(void);

/* Runs a function in a child that shares this memory, until it has left it: for finding out what a child can do. `namespaces`: flags
 * CLONE_NEW* for it. The pid,
 * its pidfd in *pidfd, or a negated errno. The function is under the contract of child/child.c. */
long run_suspended(void (*run)(void *), void *argument, uint64_t namespaces, int use_clone3, int *pidfd);

#endif
