#include "watched_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "state_lock.h"

static int enlarged; /* pipes */

int watched_fd_set(struct watched_fd *watched, uint32_t mask) {
  if (mask == NO_MASK) {
    if (watched->added) epoll_ctl(watched->epoll, EPOLL_CTL_DEL, watched->fd, NULL);
    watched->added = 0;
    return 0;
  }
  if (watched->added && watched->mask == mask) return 0;
  struct epoll_event event = {.events = mask, .data.ptr = watched};
  if (epoll_ctl(watched->epoll, watched->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, watched->fd, &event) == -1) return -errno;
  watched->added = 1;
  watched->mask = mask;
  return 0;
}

/* A pipe that was found full. Only so many at a time: the kernel gives a user without privileges 64 MiB of pipes in all
 * (fs.pipe-user-pages-soft), and makes each new one of 8 KiB when they are used up. */
void watched_fd_enlarge(struct watched_fd *watched) {
  enum { LARGER = 256 * 1024, MOST_ENLARGED = 64 };
  if (watched->sized || __atomic_load_n(&enlarged, __ATOMIC_RELAXED) >= MOST_ENLARGED) return;
  watched->sized = 1;
  if (fcntl(watched->fd, F_SETPIPE_SZ, LARGER) == -1) return;
  watched->enlarged = 1;
  __atomic_add_fetch(&enlarged, 1, __ATOMIC_RELAXED);
}

void watched_fd_close(struct watched_fd *watched) {
  if (watched->fd < 0) return;
  watched_fd_set(watched, NO_MASK);
  state_lock();
  if (!watched->disowned) close(watched->fd);
  watched->fd = -1;
  state_unlock();
  if (watched->enlarged) __atomic_sub_fetch(&enlarged, 1, __ATOMIC_RELAXED);
  watched->enlarged = 0;
}

void watched_fds_after_fork(void) { enlarged = 0; }

/* The copy of a pipe end would hold back an end-of-file, the copy of a pidfd could signal the parent's child, and taking
 * something out of the shared epoll set would mute the parent: so all of it is closed, at once and without a DEL. */
void watched_fd_close_copy(struct watched_fd *watched, int placeholder) {
  if (watched->fd < 0) return;
  if (!watched->disowned) {
    close(watched->fd);
    watched->fd = -1;
  } else if (placeholder >= 0) {
    dup3(placeholder, watched->fd, O_CLOEXEC);
  }
}
