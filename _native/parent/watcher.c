#include "watcher.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "lock.h"

static int enlarged; /* pipes */

int source_watch(struct source *source, uint32_t mask) {
  if (mask == NO_MASK) {
    if (source->added) epoll_ctl(source->epoll, EPOLL_CTL_DEL, source->fd, NULL);
    source->added = 0;
    return 0;
  }
  if (source->added && source->mask == mask) return 0;
  struct epoll_event event = {.events = mask, .data.ptr = source};
  if (epoll_ctl(source->epoll, source->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, source->fd, &event) == -1) return -errno;
  source->added = 1;
  source->mask = mask;
  return 0;
}

/* A pipe that was found full. Only so many at a time: the kernel gives a user without privileges 64 MiB of pipes in all
 * (fs.pipe-user-pages-soft), and makes each new one of 8 KiB when they are used up. */
void source_enlarge(struct source *source) {
  enum { LARGER = 256 * 1024, MOST_ENLARGED = 64 };
  if (source->sized || __atomic_load_n(&enlarged, __ATOMIC_RELAXED) >= MOST_ENLARGED) return;
  source->sized = 1;
  if (fcntl(source->fd, F_SETPIPE_SZ, LARGER) == -1) return;
  source->enlarged = 1;
  __atomic_add_fetch(&enlarged, 1, __ATOMIC_RELAXED);
}

void source_close(struct source *source) {
  if (source->fd < 0) return;
  source_watch(source, NO_MASK);
  state_lock();
  if (!source->disowned) close(source->fd);
  source->fd = -1;
  state_unlock();
  if (source->enlarged) __atomic_sub_fetch(&enlarged, 1, __ATOMIC_RELAXED);
  source->enlarged = 0;
}

void sources_after_fork(void) { enlarged = 0; }

/* The copy of a pipe end would hold back an end-of-file, the copy of a pidfd could signal the parent's child, and taking
 * something out of the shared epoll set would mute the parent: so all of it is closed, at once and without a DEL. */
void source_let_go(struct source *source, int placeholder) {
  if (source->fd < 0) return;
  if (!source->disowned) {
    close(source->fd);
    source->fd = -1;
  } else if (placeholder >= 0) {
    dup3(placeholder, source->fd, O_CLOEXEC);
  }
}
