/* One wake-up of a loop: everything that is ready, read and reaped, as plain events.
 *
 * Rules behind the order below:
 *  - the kernel puts every level-triggered entry that it returns at the tail of its list: one that is returned and not handled
 *    starves behind those that are always ready. So every fetched event is handled in its wake-up, and the reads share the
 *    buffer.
 *  - STARTED comes before everything else of its child: status pipes are read first, and before a pipe or the pidfd of a child
 *    is handled, its status pipe is asked (launch_outcome.h).
 *  - ends of pipes come behind the data (pipe_events.h), exits behind both.
 *  - an entry leaves the set before its descriptor is closed: another process may hold the same file, and its entry would
 *    go on reporting.
 */
#include <errno.h>
#include <sys/epoll.h>

#include "launch_outcome.h"
#include "pipe_events.h"
#include "reap.h"
#include "wakeup.h"

enum { MOST_READ = 96 * 1024 }; /* glibc gives each larger piece of memory back to the kernel as soon as it is freed */

static int is_status(const struct watched_fd *watched) { return watched->index == WATCHED_STATUS; }
static int is_pipe(const struct watched_fd *watched) { return watched->index < WATCHED_STATUS; }

/* Of a child for which nobody waits nothing will say that it runs; one that has failed left its memory before its pipes. */
static int may_report(const struct child *child) {
  return child->state == STARTED || (child->by_memory && child->collected && child->state != FAILING);
}

static void handle_pipe(struct wakeup *wakeup, struct watched_fd *watched, uint32_t ready) {
  launch_outcome_look(wakeup, watched->child, 0);
  if (!may_report(watched->child)) pipe_park(watched);
  else if (watched->mask == EPOLLIN) pipe_read(wakeup, watched, ready);
  else pipe_write(wakeup, watched, ready);
}

static void handle_end_of_pooled(struct wakeup *wakeup, struct watched_fd *watched) {
  struct child *child = status_pool_put_back(&wakeup->reactor->children.pool, watched);
  if (!child) return;
  child->pooled = NULL;
  launch_outcome_left(wakeup, child);
}

static void handle_exit(struct wakeup *wakeup, struct watched_fd *watched) {
  launch_outcome_look(wakeup, watched->child, 1);
  watched->child->exits = 0;
  reap(wakeup, watched->child);
}

void aiospawn_drop_ended(struct aiospawn_reactor *reactor) {
  if (reactor->dead) return;
  for (uint32_t i = 0; i < reactor->over_count; i++) {
    struct child *child = child_find(&reactor->children, reactor->memory->over[i]);
    if (child && child->drops_at_end) child_drop(&reactor->children, child);
  }
  reactor->over_count = 0;
}

int aiospawn_poll(struct aiospawn_reactor *reactor) {
  struct epoll_event ready[BATCH];
  struct wakeup wakeup;
  wakeup.reactor = reactor;
  wakeup.data_used = wakeup.ended_count = 0;
  reactor->batch.head = reactor->batch.count = 0;
  if (reactor->dead) return -EOWNERDEAD;
  aiospawn_drop_ended(reactor);
  int count = epoll_wait(reactor->epoll, ready, BATCH, 0);
  if (count == -1) return errno == EINTR ? 0 : -errno;
  uint32_t readers = 0, exits = 0;
  for (int i = 0; i < count; i++) {
    struct watched_fd *watched = ready[i].data.ptr;
    if (watched->index == WATCHED_PIDFD) exits = watched->child->exits = 1;
  }
  for (int i = 0; i < count; i++) {
    struct watched_fd *watched = ready[i].data.ptr;
    if (watched->index == WATCHED_POOLED) handle_end_of_pooled(&wakeup, watched);
    else if (is_status(watched)) launch_outcome_read(&wakeup, watched->child, (ready[i].events & EPOLLHUP) != 0);
    else if (is_pipe(watched) && watched->mask == EPOLLIN) readers++;
  }
  wakeup.share = readers ? DATA / readers : 0;
  if (wakeup.share > MOST_READ) wakeup.share = MOST_READ;
  for (int i = 0; i < count; i++) {
    struct watched_fd *watched = ready[i].data.ptr;
    if (is_pipe(watched)) handle_pipe(&wakeup, watched, ready[i].events);
  }
  pipe_report_ends(&wakeup);
  for (int i = 0; i < count; i++) {
    struct watched_fd *watched = ready[i].data.ptr;
    if (watched->index == WATCHED_PIDFD) handle_exit(&wakeup, watched);
    watched->fed = watched->awaited = 0;
  }
  struct status_pool *pool = &reactor->children.pool;
  if (pool->made && !pool->used && !exits) status_pool_close(pool); /* where children end, others are often launched */
  return (int)reactor->batch.count;
}
