/* The cgroup that a tree has for itself. The launching process has made it, and removes it; init does where that has gone.
 *
 * Ownership. The descriptor of its cgroup.kill is open for as long as init lives. */
#ifndef AIOSPAWN_LAUNCHER_TREE_CGROUP_H
#define AIOSPAWN_LAUNCHER_TREE_CGROUP_H

#include "child/launch.h"

enum { CGROUP_PATH = 1024 };

struct tree_cgroup {
  char path[CGROUP_PATH];          /* or empty: there is none */
  int killer;                      /* its cgroup.kill, or -1: before Linux 5.14 it is a matter of /proc, as without */
};

/* The one among the steps of a launch. */
void tree_cgroup_take(struct tree_cgroup *cgroup, const struct launch *launch);
/* Everybody in it at once, whatever they fork meanwhile. */
void tree_cgroup_kill(const struct tree_cgroup *cgroup);
/* Nobody may be in it any more. */
void tree_cgroup_remove(const struct tree_cgroup *cgroup);

#endif
