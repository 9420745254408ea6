/* Limits of a command's tree, which init enforces where the kernel has none for a tree: it looks a hundred times a second, and ends
 * the tree where one is exceeded. In a cgroup of its own the kernel keeps the memory, and counts processor time. */
#ifndef AIOSPAWN_LAUNCHER_LIMITS_H
#define AIOSPAWN_LAUNCHER_LIMITS_H

#include <stdint.h>

#include "child/launch.h"
#include "tree.h"
#include "tree_cgroup.h"

struct limits {
  int64_t most[AIOSPAWN_LIMITS];   /* by enum aiospawn_limit; 0: there is none */
  int64_t began_ns;                /* CLOCK_MONOTONIC */
  int needs_looks;                 /* is there one that nothing tells of but looking? */
  int in_cgroup;                   /* the kernel keeps that of memory, and the tree's cgroup tells of it */
};

/* The limits among the steps of a launch, from now on. */
void limits_begin(struct limits *limits, const struct launch *launch);
/* What forks without end must not keep init from looking: it comes before what it looks at, as far as it may. Not before the command
 * is made, which would come first as well. */
void limits_come_first(void);
/* How long init may rest before the next look, or -1: there is no limit. */
int64_t limits_rest_ns(const struct limits *limits);
/* The limit that the tree exceeds, or AIOSPAWN_NO_LIMIT. */
enum aiospawn_limit limits_exceeded(const struct limits *limits, struct tree *tree, const struct tree_cgroup *cgroup);

#endif
