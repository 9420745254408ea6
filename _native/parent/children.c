#include "children.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monotonic.h"
#include "orphans.h"
#include "state_lock.h"

enum {
  LONGEST_WAIT_NS = 1000000000,    /* with children on their way, when a loop is closed */
  LAUNCHES_A_LOOK = 16             /* a stack each that a child may keep until it ends, when no launch follows */
};

static int grow(struct children *children) {
  uint32_t capacity = children->capacity ? 2 * children->capacity : 16;
  struct child **entries = realloc(children->entries, capacity * sizeof *entries);
  if (entries) children->entries = entries;
  uint32_t *free_places = realloc(children->free_places, capacity * sizeof *free_places);
  if (free_places) children->free_places = free_places;
  if (!entries || !free_places) return -ENOMEM;
  for (uint32_t place = capacity; place-- > children->capacity;) {
    entries[place] = NULL;
    free_places[children->free_count++] = place;
  }
  children->capacity = capacity;
  return 0;
}

struct child *child_enter(struct children *children, int epoll) {
  struct child *child = calloc(1, sizeof *child);
  if (!child) return NULL;
  for (int i = 0; i < WATCHED_FDS; i++) child->watched[i] = (struct watched_fd){.child = child, .epoll = epoll, .fd = -1, .index = (uint8_t)i};
  memset(child->ends, -1, sizeof child->ends);
  child->lease = -1;
  child->segment = FD_BLOCK_NONE;
  state_lock();
  if (!children->free_count && grow(children) < 0) {
    state_unlock();
    free(child);
    return NULL;
  }
  uint32_t place = children->free_places[--children->free_count];
  child->token = (uint64_t)++children->counter << 32 | place;
  children->entries[place] = child;
  state_unlock();
  return child;
}

struct child *child_find(const struct children *children, uint64_t token) {
  uint32_t place = (uint32_t)token;
  if (place >= children->capacity) return NULL;
  struct child *child = children->entries[place];
  return child && child->token == token ? child : NULL;
}

void child_leave_table(struct child *child) {
  if (child->segment != FD_BLOCK_NONE) fd_block_give_back(child->segment, &child->stack->launch);
  child->segment = FD_BLOCK_NONE;
}

static void unlink_launching(struct child *child) {
  if (!child->link) return;
  *child->link = child->next_launching;
  if (child->next_launching) child->next_launching->link = child->link;
  child->link = NULL;
}

void child_leave_memory(struct child *child) {
  unlink_launching(child);
  if (!child->stack) return;
  child_leave_table(child);
  stack_pool_give_back(child->stack);
  child->stack = NULL;
}

void child_look_at_memory(struct child *child, int ended) {
  const struct launch *launch = &child->stack->launch;
  if (!ended && __atomic_load_n(&launch->alive, __ATOMIC_ACQUIRE)) return;
  if (__atomic_load_n(&launch->failed.error, __ATOMIC_ACQUIRE)) {
    child->failure = launch->failed;
    child->state = FAILING; /* reported when it is reaped */
  } else {
    child->state = UNSURE;
  }
  child_leave_memory(child);
}

void children_add_launching(struct children *children, struct child *child) {
  if (++children->since_look >= LAUNCHES_A_LOOK) {
    struct child *next;
    for (struct child *each = children->launching; each; each = next) {
      next = each->next_launching;
      child_look_at_memory(each, 0);
    }
    children->since_look = 0;
  }
  child->next_launching = children->launching;
  if (child->next_launching) child->next_launching->link = &child->next_launching;
  child->link = &children->launching;
  children->launching = child;
}

void child_close_ends(struct child *child) {
  state_lock();
  for (int i = 0; i < AIOSPAWN_ENDS; i++) {
    if (child->ends[i] >= 0) close(child->ends[i]);
    child->ends[i] = -1;
  }
  state_unlock();
}

/* The last close of a terminal's parent side hangs up on a session that is still alive: it waits for the exit. Not where it is
 * disowned: then its number is free from now on, and must not be kept as the terminal's. */
void child_shut(struct watched_fd *watched) {
  int stays = watched->terminal && !watched->disowned && watched->child->pid && !watched->child->reaped;
  if (stays) watched_fd_set(watched, NO_MASK);
  else watched_fd_close(watched);
}

int child_has_pipes(const struct child *child) {
  for (int stream = 0; stream < AIOSPAWN_STREAMS; stream++)
    if (child->watched[stream].fd >= 0) return 1;
  return 0;
}

static void child_free(struct child *child, int forked) {
  if (child->pooled) child->pooled->watched.child = NULL;
  /* In a fork no child runs in this copy of the memory, and the reserved descriptors were given back. */
  if (forked) child->segment = FD_BLOCK_NONE;
  unlink_launching(child);
  if (forked || child->reaped || !child->pid) child_leave_memory(child);
  else if (child->stack) stack_pool_abandon(child->stack);
  free(child);
}

/* A child that lives, or was not reaped, has its pidfd kept. */
static void close_watched(struct child *child) {
  struct watched_fd *pidfd = &child->watched[WATCHED_PIDFD];
  if (child->pid && !child->reaped && pidfd->fd >= 0) {
    watched_fd_set(pidfd, NO_MASK);
    state_lock();
    orphans_keep(child->pid, pidfd->fd);
    pidfd->fd = -1;
    state_unlock();
  }
  for (int i = 0; i < WATCHED_FDS; i++) watched_fd_close(&child->watched[i]);
}

static void close_pool(struct children *children) {
  for (struct pooled_pipe *pipe = children->pool.made; pipe; pipe = pipe->next_made)
    if (pipe->watched.child) pipe->watched.child->pooled = NULL;
  status_pool_close(&children->pool);
}

void child_drop(struct children *children, struct child *child) {
  close_watched(child);
  uint32_t place = (uint32_t)child->token;
  state_lock();
  children->entries[place] = NULL;
  children->free_places[children->free_count++] = place;
  state_unlock();
  child_free(child, 0);
  if (children->pool.made && children->free_count == children->capacity) close_pool(children);
}

/* Until it reports that it has left the table, or ends. The report would not be read later, and what its segment holds (the child's
 * ends, our own streams) would stay open; after the deadline it stays until the next launch or loop. */
static void await_departure(const struct child *child, int64_t deadline) {
  struct pollfd status = {.fd = child->watched[WATCHED_STATUS].fd, .events = POLLIN};
  if (child->segment == FD_BLOCK_NONE || status.fd < 0) return;
  for (int64_t remaining; (remaining = deadline - monotonic_ns()) > 0;)
    if (poll(&status, 1, (int)(remaining / 1000000) + 1) != -1 || errno != EINTR) return;
}

/* While the table has them: a fork meanwhile closes what it finds there. */
void children_close(struct children *children) {
  int64_t deadline = monotonic_ns() + LONGEST_WAIT_NS;
  for (uint32_t place = 0; place < children->capacity; place++) {
    struct child *child = children->entries[place];
    if (!child) continue;
    await_departure(child, deadline);
    close_watched(child);
  }
  close_pool(children);
}

/* The entries are taken away under the lock: other threads may be asking for one. */
void children_free(struct children *children, int forked) {
  state_lock();
  struct children taken = *children;
  *children = (struct children){0};
  state_unlock();
  for (uint32_t place = 0; place < taken.capacity; place++)
    if (taken.entries[place]) child_free(taken.entries[place], forked);
  status_pool_close(&taken.pool); /* in a fork, too: the memory of it */
  free(taken.entries);
  free(taken.free_places);
  if (!forked) fd_block_collect();
}

void children_close_copies(struct children *children, const struct child *itself, int placeholder) {
  status_pool_after_fork(&children->pool);
  for (uint32_t place = 0; place < children->capacity; place++) {
    struct child *child = children->entries[place];
    for (int i = 0; child && i < WATCHED_FDS; i++) watched_fd_close_copy(&child->watched[i], placeholder);
    for (int i = 0; child && child != itself && i < AIOSPAWN_ENDS; i++)
      if (child->ends[i] >= 0) close(child->ends[i]);
  }
}
