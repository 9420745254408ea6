/* The pipe ends of a child, by its token: for the thread that runs the loop. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "aiospawn.h"
#include "reactor.h"
#include "lock.h"

static int find_stream(const struct aiospawn_reactor *reactor, uint64_t token, int stream, struct source **source) {
  if (reactor->dead) return -EOWNERDEAD;
  struct child *child = child_find(&reactor->children, token);
  if (!child || stream < 0 || stream >= AIOSPAWN_STREAMS) return -ESRCH;
  *source = &child->sources[stream];
  return (*source)->fd < 0 ? -EBADF : 0;
}

int aiospawn_watch(struct aiospawn_reactor *reactor, uint64_t token, int stream, int how) {
  static const uint32_t masks[] = {
      [AIOSPAWN_WATCH_OFF] = NO_MASK,
      [AIOSPAWN_WATCH_IDLE] = 0,
      [AIOSPAWN_WATCH_READ] = EPOLLIN,
      [AIOSPAWN_WATCH_WRITE] = EPOLLOUT,
  };
  struct source *source;
  int found = find_stream(reactor, token, stream, &source);
  if (found < 0) return found;
  if (how == AIOSPAWN_WATCH_WRITE) source_enlarge(source);
  return source_watch(source, masks[how]);
}

int aiospawn_stream(struct aiospawn_reactor *reactor, uint64_t token, int stream) {
  struct source *source;
  int found = find_stream(reactor, token, stream, &source);
  return found < 0 ? found : source->fd;
}

int aiospawn_disown(struct aiospawn_reactor *reactor, uint64_t token, int stream) {
  struct source *source;
  int found = find_stream(reactor, token, stream, &source);
  if (found < 0) return found;
  source->disowned = 1;
  return source->fd;
}

int aiospawn_shut(struct aiospawn_reactor *reactor, uint64_t token, int stream) {
  struct source *source;
  int found = find_stream(reactor, token, stream, &source);
  if (found == 0) child_shut(source);
  return found;
}

/* Only the child's side can be asked. It is open for a moment, under the lock: the copy that a fork makes of it would hold
 * back the end of the child's output. */
int aiospawn_terminal_unread(struct aiospawn_reactor *reactor, uint64_t token, int stream) {
  struct source *source;
  int result = find_stream(reactor, token, stream, &source);
  if (result < 0) return result;
  state_lock();
  struct pollfd peer = {.fd = ioctl(source->fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), .events = POLLIN};
  result = peer.fd == -1 || poll(&peer, 1, 0) == -1 ? -errno : (peer.revents & POLLIN) != 0;
  if (peer.fd != -1) close(peer.fd);
  state_unlock();
  return result;
}
