/* A launch whose child CPython forks, for `preexec_fn`: Python code has to run in it between two steps. The same request, pipes
 * and steps as in any other launch, and the same reports; but the child's memory is a copy of its own from the start.
 *
 *  - libc's fork, not a clone: only that leaves its locks, and CPython's, usable in the child. Its handlers close everything
 *    of the parent's (atfork.c), but for the ends of this child.
 *  - the child waits at the gate, a pipe, until the parent has its pidfd. Before that no number of its can become another's,
 *    and nothing else in the process can reap it: it does not end. A parent that gives up closes the gate.
 *  - the child reads the launch in its copy of the memory, so the parent's stack is free as soon as the child is adopted. */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "child/child.h"
#include "child/sys.h"
#include "launch_setup.h"
#include "pipes.h"
#include "reactor.h"
#include "state_lock.h"

enum { EXIT_NOT_ADOPTED = 127 };

/* ---- the parent ---------------------------------------------------------------------------------------------------- */

static int gate_open(struct aiospawn_reactor *reactor) {
  int ends[2], error = 0;
  state_lock();
  if (pipe2(ends, O_CLOEXEC) == -1) error = -errno;
  for (int i = 0; i < 2 && error == 0; i++) reactor->gate[i] = ends[i];
  state_unlock();
  return error;
}

static void gate_close(struct aiospawn_reactor *reactor) {
  state_lock();
  for (int i = 0; i < 2; i++) {
    if (reactor->gate[i] >= 0) close(reactor->gate[i]);
    reactor->gate[i] = -1;
  }
  state_unlock();
}

/* There is no SIGPIPE if the child has died: this process still has the other end as well. */
static int gate_pass(const struct aiospawn_reactor *reactor) {
  ssize_t length;
  do length = write(reactor->gate[1], "a", 1);
  while (length == -1 && errno == EINTR);
  return length == 1 ? 0 : -errno;
}

static int prepare(struct aiospawn_reactor *reactor, const struct layout *layout, const unsigned char *request) {
  struct child *child = reactor->prepared;
  int result = launch_begin(child, layout, request);
  if (result == 0) result = status_open(child, NULL, 0);
  if (result < 0) return result;
  child->private_memory = 1;
  child->stack->launch.memory = MEMORY_COPIED;
  child->keeps_sigmask = !(layout->head.flags & AIOSPAWN_SET_SIGMASK);
  launch_finish(child, &layout->head, 0);
  result = watched_fd_set(&child->watched[WATCHED_STATUS], 0);
  return result < 0 ? result : gate_open(reactor);
}

int aiospawn_fork_prepare(struct aiospawn_reactor *reactor, const unsigned char *request, size_t size) {
  struct layout layout;
  if (reactor->dead) return -EOWNERDEAD;
  int result = request_read(request, size, &layout);
  if (result < 0) return result;
  if (!(layout.head.flags & AIOSPAWN_FORKED)) return -EINVAL;
  aiospawn_fork_withdraw(reactor); /* of a caller that was interrupted twice */
  reactor->prepared = child_enter(&reactor->children, reactor->epoll);
  if (!reactor->prepared) return -ENOMEM;
  reactor->forker = pthread_self();
  result = prepare(reactor, &layout, request);
  if (result < 0) aiospawn_fork_withdraw(reactor);
  return result < 0 ? result : reactor->gate[1];
}

void aiospawn_fork_withdraw(struct aiospawn_reactor *reactor) {
  struct child *child = reactor->prepared;
  if (reactor->dead || !child) return;
  child_close_ends(child);
  gate_close(reactor);
  reactor->prepared = NULL;
  child_drop(&reactor->children, child);
}

static int pidfd_open_for(struct child *child, int pid) {
  state_lock();
  long fd = sys2(SYS_pidfd_open, pid, 0);
  if (fd >= 0) child->watched[WATCHED_PIDFD].fd = (int32_t)fd;
  state_unlock();
  return fd < 0 ? (int)fd : 0;
}

int aiospawn_fork_adopt(struct aiospawn_reactor *reactor, int pid, struct aiospawn_launched *launched) {
  struct child *child = reactor->prepared;
  if (reactor->dead) return -EOWNERDEAD;
  if (!child) return -ESRCH;
  int result = pidfd_open_for(child, pid);
  if (result == 0) result = launch_watch(child);
  if (result == 0) result = gate_pass(reactor);
  if (result < 0) return result;
  child->pid = pid;
  child_close_ends(child);
  child_leave_memory(child);
  reactor->prepared = NULL;
  *launched = (struct aiospawn_launched){
      .token = child->token, .pid = child->pid, .pidfd = child->watched[WATCHED_PIDFD].fd};
  gate_close(reactor);
  return 0;
}

/* ---- the child ----------------------------------------------------------------------------------------------------- */

static struct step_context context;  /* of this process, where that is such a child */
static uint32_t next;     /* the step that comes next */

static void wait_for_adoption(struct aiospawn_reactor *reactor) {
  char byte;
  long length;
  do length = sys3(SYS_read, reactor->gate[0], (long)&byte, 1);
  while (length == -EINTR);
  if (length != 1) sys1(SYS_exit_group, EXIT_NOT_ADOPTED);
  sys1(SYS_close, reactor->gate[0]);
}

static uint64_t block_signals(void) {
  uint64_t all = ~(uint64_t)0, mask = 0;
  sys_sigmask(&all, &mask);
  return mask;
}

void aiospawn_fork_run_steps(struct aiospawn_reactor *reactor) {
  wait_for_adoption(reactor);
  uint64_t mask = block_signals();
  context.launch = &reactor->prepared->stack->launch;
  next = child_run_steps(&context, 0);
  sys_sigmask(&mask, NULL);
}

void aiospawn_fork_execute(struct aiospawn_reactor *reactor, int own_environment) {
  struct launch *launch = &reactor->prepared->stack->launch;
  uint64_t mask = block_signals();
  if (own_environment) launch->variables = (const char *const *)environ;
  if (reactor->prepared->keeps_sigmask) launch->mask = mask;
  signal_clear_handlers();
  child_run_steps(&context, next + 1);
  child_execute(&context);
}

void aiospawn_fork_refuse(struct aiospawn_reactor *reactor) {
  block_signals();
  child_fail(reactor->prepared->stack->launch.status, -ECANCELED, AIOSPAWN_STEP_PREEXEC_FN, next);
}
