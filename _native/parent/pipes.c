#include "pipes.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "descriptor.h"
#include "state_lock.h"

/* near: non-blocking, in the parent. Under the state lock, so that a fork finds both ends in the table. */
static int pipe_open(int parent_reads, const struct launch *launch, struct watched_fd *parent_end, int32_t *child_end) {
  int ends[2], error = 0;
  state_lock();
  if (pipe2(ends, O_CLOEXEC) == -1) {
    error = -errno;
  } else {
    parent_end->fd = ends[parent_reads ? 0 : 1];
    *child_end = ends[parent_reads ? 1 : 0];
    int first = descriptor_lift(&parent_end->fd, 3), second = descriptor_lift_end(child_end, launch);
    error = first < 0 ? first : second;
    if (error == 0 && fcntl(parent_end->fd, F_SETFL, O_NONBLOCK) == -1) error = -errno;
  }
  state_unlock();
  return error;
}

/* Neither end blocks: what the child reports is little. */
static int own_status(struct child *child) {
  int ends[2], error = 0;
  state_lock();
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == -1) {
    error = -errno;
  } else {
    child->watched[WATCHED_STATUS].fd = ends[0];
    child->ends[AIOSPAWN_END_STATUS] = ends[1];
    int first = descriptor_lift(&child->watched[WATCHED_STATUS].fd, 3);
    int second = descriptor_lift_end(&child->ends[AIOSPAWN_END_STATUS], &child->stack->launch);
    error = first < 0 ? first : second;
  }
  state_unlock();
  return error;
}

/* Before the program looks: one that edits its line does what it found when it began. */
static int echo_off(int terminal) {
  struct termios settings;
  if (tcgetattr(terminal, &settings) == -1) return -errno;
  settings.c_lflag &= ~(tcflag_t)ECHO;
  return tcsetattr(terminal, TCSANOW, &settings) == -1 ? -errno : 0;
}

/* The parent reads and writes the same end, by two descriptors: each is watched for its own side. */
static int pty_open(const struct aiospawn_request *head, struct child *child) {
  struct watched_fd *input = &child->watched[0], *output = &child->watched[1];
  struct winsize size = {.ws_row = head->rows, .ws_col = head->columns};
  int error = 0, unlocked = 0;
  state_lock();
  int end = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (end == -1) error = -errno;
  if (!error) error = descriptor_lift(&end, 3);
  if (!error) {
    output->fd = end;
    if (ioctl(end, TIOCSPTLCK, &unlocked) == -1) error = -errno;
  }
  if (!error && (input->fd = fcntl(end, F_DUPFD_CLOEXEC, 3)) == -1) error = -errno;
  if (!error && head->rows && ioctl(end, TIOCSWINSZ, &size) == -1) error = -errno;
  if (!error && head->flags & AIOSPAWN_NO_ECHO) error = echo_off(end);
  if (!error) { /* not by path: it may be another mount's */
    child->ends[0] = ioctl(end, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    error = child->ends[0] == -1 ? -errno : descriptor_lift_end(&child->ends[0], &child->stack->launch);
  }
  input->terminal = output->terminal = 1;
  input->sized = output->sized = 1;
  state_unlock();
  return error;
}

int pipes_open(struct child *child, const struct aiospawn_request *head) {
  int result = 0;
  if (head->pipes[0] == AIOSPAWN_PTY) result = pty_open(head, child);
  for (int stream = 0; stream < AIOSPAWN_STREAMS && result == 0; stream++) {
    struct watched_fd *parent_end = &child->watched[stream];
    int child_writes = head->pipes[stream] == AIOSPAWN_CHILD_WRITES;
    if (head->pipes[stream] == AIOSPAWN_NO_PIPE || head->pipes[stream] == AIOSPAWN_PTY) continue;
    result = pipe_open(child_writes, &child->stack->launch, parent_end, &child->ends[stream]);
    parent_end->sized = head->pipe_size != 0;
    if (result == 0 && parent_end->sized && fcntl(parent_end->fd, F_SETPIPE_SZ, head->pipe_size) == -1) result = -errno;
  }
  for (int stream = 0; stream < AIOSPAWN_STREAMS && result == 0; stream++)
    if (child->watched[stream].fd >= 0) result = watched_fd_set(&child->watched[stream], stream ? EPOLLIN : 0);
  return result;
}

int status_open(struct child *child, struct status_pool *pool, int by_memory) {
  child->by_memory = by_memory && child->collected;
  if (child->by_memory) return 0;
  if (!by_memory) return own_status(child);
  int error, epoll = child->watched[WATCHED_STATUS].epoll;
  child->pooled = status_pool_take(pool, child, epoll, &child->stack->launch, &child->ends[AIOSPAWN_END_STATUS], &error);
  child->by_memory = child->pooled != NULL;
  if (error < 0) return error;
  return child->pooled ? 0 : own_status(child);
}
