/* Status pipes that are used again, for children that report in our memory: the end of such a pipe only says that its child has left
 * that. A new pipe, its entry in the epoll set and its end cost 5 us; another writing end of one that is there, by /proc, costs 2.
 *
 * A pipe is free again when its end was seen: nobody has a writing end of it then. It is watched edge-triggered, so that a free one is
 * silent. All are closed when none is in use and no launch is to be expected.
 *
 * Ownership. The pool owns the reading ends. A writing end belongs to the child that it was made for, as any end of its. For the loop's
 * thread. */
#ifndef AIOSPAWN_PARENT_STATUS_POOL_H
#define AIOSPAWN_PARENT_STATUS_POOL_H

#include "watched_fd.h"

struct launch;

struct pooled_pipe {
  struct watched_fd watched;       /* its child: whose launch it tells of, or NULL. First: what epoll refers to is cast to this */
  struct pooled_pipe *next;        /* the next free one */
  struct pooled_pipe *next_made;
  char name[12];                   /* its number */
  uint8_t in_use;
};

struct status_pool {
  struct pooled_pipe *unused, *made;
  uint32_t count, used;
  int32_t directory;               /* of this process's descriptors, if has_directory */
  uint8_t has_directory;
  uint8_t refused;                 /* no writing end can be had */
};

/* A pipe for this child, to be watched in this set; with a writing end in *end, on a number that no step of the launch writes to. NULL: a
 * pipe of the child's own takes its place, or *error is a negated errno. It refers to the child until it is put back. */
struct pooled_pipe *status_pool_take(struct status_pool *pool, struct child *child, int epoll, const struct launch *launch, int32_t *end,
                                     int *error);
/* Its end was seen: the child that it referred to, or NULL. The end of one that is free may be seen again. */
struct child *status_pool_put_back(struct status_pool *pool, struct watched_fd *watched);
/* Closes all; those in use tell of nothing any more. */
void status_pool_close(struct status_pool *pool);
/* In the child of a fork, whose copies these are. */
void status_pool_after_fork(struct status_pool *pool);

#endif
