/* The pipe ends of a child, by its token: for the thread that runs the loop. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "aiospawn.h"
#include "reactor.h"
#include "state_lock.h"

static int find_stream(const struct aiospawn_reactor *reactor, uint64_t token, int stream, struct watched_fd **watched) {
  if (reactor->dead) return -EOWNERDEAD;
  struct child *child = child_find(&reactor->children, token);
  if (!child || stream < 0 || stream >= AIOSPAWN_STREAMS) return -ESRCH;
  *watched = &child->watched[stream];
  return (*watched)->fd < 0 ? -EBADF : 0;
}

int aiospawn_watch(struct aiospawn_reactor *reactor, uint64_t token, int stream, int how) {
  static const uint32_t masks[] = {
      [AIOSPAWN_WATCH_OFF] = NO_MASK,
      [AIOSPAWN_WATCH_IDLE] = 0,
      [AIOSPAWN_WATCH_READ] = EPOLLIN,
      [AIOSPAWN_WATCH_WRITE] = EPOLLOUT,
  };
  struct watched_fd *watched;
  int found = find_stream(reactor, token, stream, &watched);
  if (found < 0) return found;
  if (how == AIOSPAWN_WATCH_WRITE) watched_fd_enlarge(watched);
  return watched_fd_set(watched, masks[how]);
}

int aiospawn_stream(struct aiospawn_reactor *reactor, uint64_t token, int stream) {
  struct watched_fd *watched;
  int found = find_stream(reactor, token, stream, &watched);
  return found < 0 ? found : watched->fd;
}

int aiospawn_disown(struct aiospawn_reactor *reactor, uint64_t token, int stream) {
  struct watched_fd *watched;
  int found = find_stream(reactor, token, stream, &watched);
  if (found < 0) return found;
  watched->disowned = 1;
  return watched->fd;
}

int aiospawn_shut(struct aiospawn_reactor *reactor, uint64_t token, int stream) {
  struct watched_fd *watched;
  int found = find_stream(reactor, token, stream, &watched);
  if (found == 0) child_shut(watched);
  return found;
}

/* Only the child's side can be asked. It is open for a moment, under the lock: the copy that a fork makes of it would hold
 * back the end of the child's output. */
int aiospawn_terminal_unread(struct aiospawn_reactor *reactor, uint64_t token, int stream) {
  struct watched_fd *watched;
  int result = find_stream(reactor, token, stream, &watched);
  if (result < 0) return result;
  state_lock();
  struct pollfd peer = {.fd = ioctl(watched->fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), .events = POLLIN};
  result = peer.fd == -1 || poll(&peer, 1, 0) == -1 ? -errno : (peer.revents & POLLIN) != 0;
  if (peer.fd != -1) close(peer.fd);
  state_unlock();
  return result;
}
