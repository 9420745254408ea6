/* The lease of a reactor's trees: a page that says when this process was last seen running, for every init to read.
 *
 * It is renewed by one write, however many there are. Nobody renews it where the process is stopped, or its loop hangs. */
#ifndef AIOSPAWN_PARENT_LEASE_H
#define AIOSPAWN_PARENT_LEASE_H

#include <stdint.h>

typedef int64_t lease_moment __attribute__((aligned(8))); /* for atomic accesses: i386 aligns the type to 4 */

struct lease {
  lease_moment *renewed;           /* ns of CLOCK_MONOTONIC; NULL: there is none yet */
  int32_t file;                    /* the page's, which inits are given; meant where there is one */
};

/* Makes it, unless it is there, and renews it. 0 or a negated errno. */
int lease_open(struct lease *lease);
void lease_renew(const struct lease *lease);
/* With the state lock held. */
void lease_close(struct lease *lease);
/* In the child of a fork, which has no copy of the page. */
void lease_after_fork(struct lease *lease);

#endif
