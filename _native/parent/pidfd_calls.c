/* What any thread may ask of a child: its pidfd is used under the lock that guards its closing. */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "aiospawn.h"
#include "child/sys.h"
#include "exit_status.h"
#include "features.h"
#include "init_client.h"
#include "reactor.h"
#include "state_lock.h"

static int use_number(long result) {
  return result == -ENOSYS && (features_found() & AIOSPAWN_UNDER_VALGRIND); /* valgrind 3.19 does not know the call */
}

/* The number is safe under valgrind while the child is not reaped. */
static long signal_child(const struct child *child, int signal) {
  long result = sys4(SYS_pidfd_send_signal, child->watched[WATCHED_PIDFD].fd, signal, 0, 0);
  return use_number(result) ? sys2(SYS_kill, child->pid, signal) : result;
}

/* PIDFD_SIGNAL_PROCESS_GROUP needs Linux 6.9. Before that the group goes by its number, which is its own while the
 * leader is not reaped. Whether that was done elsewhere (waitpid(-1), an ignored SIGCHLD), the pidfd shows. A race remains: the leader
 * is reaped behind this question, the group is empty by then, and before the next system call its number is given to a process
 * that leads a group. */
static long signal_group(const struct child *child, int signal) {
  enum { PROCESS_GROUP = 4 };
  long result = sys4(SYS_pidfd_send_signal, child->watched[WATCHED_PIDFD].fd, signal, 0, PROCESS_GROUP);
  if (result != -EINVAL && !use_number(result)) return result;
  if (child->reaped || signal_child(child, 0) == -ESRCH) return -ESRCH;
  return sys2(SYS_kill, -child->pid, signal);
}

int aiospawn_signal(struct aiospawn_reactor *reactor, uint64_t token, int signal, int group) {
  if (reactor->dead) return -EOWNERDEAD;
  state_lock(); /* the pidfd must not be closed, and its number reused, under the call */
  struct child *child = child_find(&reactor->children, token);
  long result = -ESRCH;
  if (child && child->has_init) {
    result = init_client_signal(child, signal, group);
  } else if (child && child->watched[WATCHED_PIDFD].fd >= 0) {
    if (group) result = signal_group(child, signal);
    else if (!child->reaped) result = signal_child(child, signal);
  }
  state_unlock();
  return (int)result;
}

int aiospawn_signal_tree(struct aiospawn_reactor *reactor, uint64_t token, int signal) {
  if (reactor->dead) return -EOWNERDEAD;
  state_lock();
  const struct child *child = child_find(&reactor->children, token);
  long result = child && child->has_init ? init_client_signal_tree(child, signal) : -ESRCH;
  state_unlock();
  return (int)result;
}

int aiospawn_tree_refuses(struct aiospawn_reactor *reactor, uint64_t token) {
  if (reactor->dead) return -EOWNERDEAD;
  state_lock();
  struct child *child = child_find(&reactor->children, token);
  int result = child && child->has_init ? init_client_refuses(child) : -ESRCH;
  state_unlock();
  return result;
}

int aiospawn_take_pidfd(struct aiospawn_reactor *reactor, uint64_t token) {
  if (reactor->dead) return -EOWNERDEAD;
  state_lock();
  struct child *child = child_find(&reactor->children, token);
  int fd = -ESRCH;
  if (child && child->reaped && child->watched[WATCHED_PIDFD].fd >= 0) {
    fd = child->watched[WATCHED_PIDFD].fd;
    child->watched[WATCHED_PIDFD].fd = -1;
  }
  state_unlock();
  return fd;
}

/* No such child: it has exited, and was reaped elsewhere. */
static int peek(int pidfd, int *status) {
  int result = exit_status_of(pidfd, WEXITED | WNOHANG | WNOWAIT, status, NULL);
  if (result != -ECHILD) return result;
  int recovered = exit_status_recover(pidfd, status);
  if (recovered == -EAGAIN) return 0;
  if (recovered < 0) *status = 255;
  return 1;
}

int aiospawn_peek(struct aiospawn_reactor *reactor, uint64_t token, int *status) {
  if (reactor->dead) return -EOWNERDEAD;
  state_lock();
  struct child *child = child_find(&reactor->children, token);
  int result = -ESRCH;
  if (child && child->reaped) {
    *status = child->status;
    result = 1;
  } else if (child && child->watched[WATCHED_PIDFD].fd >= 0) {
    result = peek(child->watched[WATCHED_PIDFD].fd, status);
    if (result > 0 && child->has_init) init_client_end(child, status, NULL);
  }
  state_unlock();
  return result;
}

int aiospawn_dup_pidfd(struct aiospawn_reactor *reactor, uint64_t token) {
  if (reactor->dead) return -EOWNERDEAD;
  state_lock();
  struct child *child = child_find(&reactor->children, token);
  int fd = -1, error = -ESRCH;
  if (child && !child->reaped && child->watched[WATCHED_PIDFD].fd >= 0) {
    fd = fcntl(child->watched[WATCHED_PIDFD].fd, F_DUPFD_CLOEXEC, 3);
    error = -errno;
  }
  state_unlock();
  return fd < 0 ? error : fd;
}
