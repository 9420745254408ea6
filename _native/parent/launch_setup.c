#include "launch_setup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "features.h"
#include "pipes.h"
#include "state_lock.h"

int launch_begin(struct child *child, const struct layout *layout, const unsigned char *request) {
  unsigned char *memory;
  child->stack = stack_pool_take(layout->pointers + layout->size, &memory);
  if (!child->stack) return -ENOMEM;
  child->keep_pidfd = (layout->head.flags & AIOSPAWN_KEEP_PIDFD) != 0;
  child->collected = (layout->head.flags & AIOSPAWN_COLLECTED) != 0;
  child->drops_at_end = child->collected && (layout->head.flags & AIOSPAWN_DROP_AT_END) != 0;
  int result = request_place(layout, request, memory, &child->stack->launch);
  return result < 0 ? result : pipes_open(child, &layout->head);
}

void launch_finish(struct child *child, const struct aiospawn_request *head, uint64_t mask) {
  struct launch *launch = &child->stack->launch;
  uint32_t features = features_found();
  launch->status = child->ends[AIOSPAWN_END_STATUS];
  launch->failed.error = 0;
  launch->record = child->by_memory ? &launch->failed : NULL;
  memcpy(launch->ends, child->ends, sizeof launch->ends);
  launch->clear_handlers = !(features & AIOSPAWN_HAS_CLONE3);
  launch->has_close_range = (features & AIOSPAWN_HAS_CLOSE_RANGE) != 0;
  launch->segment = FD_BLOCK_NONE;
  launch->in_new_user = 0;
  memset(launch->siblings, 0, sizeof launch->siblings);
  launch->awaited = 0;
  launch->left_table = 0;
  __atomic_store_n(&launch->alive, ALIVE_IN_TABLE, __ATOMIC_RELEASE);
  launch->mask = head->flags & AIOSPAWN_SET_SIGMASK ? head->sigmask : mask;
}

/* The kernel gives it the lowest number that is free: in a program without standard streams one of theirs. */
static int pidfd_lift(struct watched_fd *pidfd) {
  int low = pidfd->fd, error = 0;
  if (low > 2) return 0;
  state_lock();
  int moved = fcntl(low, F_DUPFD_CLOEXEC, 3);
  if (moved == -1) {
    error = -errno;
  } else {
    pidfd->fd = moved;
    close(low);
  }
  state_unlock();
  return error;
}

int launch_watch(struct child *child) {
  int result = pidfd_lift(&child->watched[WATCHED_PIDFD]);
  return result < 0 ? result : watched_fd_set(&child->watched[WATCHED_PIDFD], EPOLLIN);
}
