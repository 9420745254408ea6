/* The cgroup that a tree has for itself. The launching process has made it, and removes it; init does where that has gone.
 *
 * It is reached by the descriptor that the command joins it by, for in a view of the command's own no path leads there.
 *
 * Ownership. Its descriptors are open for as long as init lives. */
#ifndef AIOSPAWN_LAUNCHER_TREE_CGROUP_H
#define AIOSPAWN_LAUNCHER_TREE_CGROUP_H

#include "child/launch.h"

enum { CGROUP_PATH = 256 };        /* its name, and that of a file in it */

struct tree_cgroup {
  int above;                       /* the directory that it is in, or -1: there is none */
  int events;                      /* its memory.events, or -1: it has no memory controller */
  char name[CGROUP_PATH];
};

/* The one among the steps of a launch: 0 or a negated errno. */
long tree_cgroup_take(struct tree_cgroup *cgroup, const struct launch *launch);
/* Everybody in it at once, whatever they fork meanwhile. Before Linux 5.14 it is a matter of /proc, as without. */
void tree_cgroup_kill(const struct tree_cgroup *cgroup);
/* Has the kernel killed somebody because it was at memory.max? */
int tree_cgroup_is_out_of_memory(const struct tree_cgroup *cgroup);
/* The processor time, in ms, of all that have ever been in it; 0 where the kernel does not say. */
int64_t tree_cgroup_time(const struct tree_cgroup *cgroup);
/* Nobody may be in it any more. */
void tree_cgroup_remove(const struct tree_cgroup *cgroup);

#endif
