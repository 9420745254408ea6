/* The parent's half of a launch by a clone. */
#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child/child.h"
#include "child/clone.h"
#include "child/sys.h"
#include "exit_status.h"
#include "features.h"
#include "launch_setup.h"
#include "launcher_client.h"
#include "launcher_program.h"
#include "orphans.h"
#include "pipes.h"
#include "privileges.h"
#include "reactor.h"
#include "shared_table.h"

/* ---- the clone ----------------------------------------------------------------------------------------------------- */

static void skip_prelude(struct launch *launch, const struct aiospawn_request *head) {
  launch->steps += head->prelude;
  launch->step_count -= head->prelude;
  launch->first_index = head->prelude;
}

/* Without a descriptor for the request, or where no file may be written (RLIMIT_FSIZE), the steps run in a copy of the memory. */
static int choose_steps(struct child *child, const struct aiospawn_request *head) {
  struct launch *launch = &child->stack->launch;
  int error = child->via_launcher ? launcher_prepare(child, head, &child->ends[AIOSPAWN_END_REQUEST]) : 0;
  if (error < 0 && child->has_init) return error;
  if (error < 0) {
    child->via_launcher = 0;
    child->private_memory = 1;
  }
  if (!child->via_launcher) skip_prelude(launch, head);
  return 0;
}

static long clone_child(const struct aiospawn_reactor *reactor, struct child *child) {
  uint32_t features = features_found();
  struct pooled_stack *stack = child->stack;
  struct launch *launch = &stack->launch;
  int suspend = reactor->suspend || !(features & AIOSPAWN_HAS_STUB);
  struct clone_plan plan = {
      .flags = CLONE_PIDFD | (child->private_memory ? 0 : CLONE_VM | CLONE_CHILD_CLEARTID) | (suspend ? CLONE_VFORK : 0) |
               (launch->segment == FD_BLOCK_NONE ? 0 : CLONE_FILES) | (child->has_namespace ? CLONE_NEWPID : 0) |
               (launch->in_new_user ? CLONE_NEWUSER : 0) | (child->ends_with_pidfd ? CLONE_PIDFD_AUTOKILL | CLONE_AUTOREAP : 0),
      .use_clone3 = (features & AIOSPAWN_HAS_CLONE3) != 0,
      .stack = stack->bottom,
      .stack_size = STACK_SIZE,
      .pidfd = &child->watched[WATCHED_PIDFD].fd,
      .alive = &launch->alive,
  };
  launch->memory = child->private_memory ? MEMORY_COPIED : MEMORY_SHARED;
  long pid = child_clone(&plan, child_run, launch);
  /* A clone that fails late has written a number there, which is another's by now. */
  if (pid < 0) child->watched[WATCHED_PIDFD].fd = -1;
  /* The child has a copy of the memory that holds the word: it will never be cleared here. */
  if (pid < 0 || child->private_memory) __atomic_store_n(&launch->alive, 0, __ATOMIC_RELEASE);
  return pid;
}

/* Where the steps run that must not run in shared memory. Init is the launcher: nothing can take its place. */
static int choose_memory(struct child *child, const struct aiospawn_request *head) {
  int launcher = (head->flags & AIOSPAWN_VIA_LAUNCHER) != 0;
  int usable = launcher ? launcher_state() : 0;
  int keeps = usable > 0 && privileges_outlast_execve(); /* asked once: the answers of two system calls may differ */
  child->has_init = (head->flags & AIOSPAWN_INIT) != 0;
  child->has_namespace = (head->flags & AIOSPAWN_INIT_NAMESPACE) != 0;
  if (child->has_namespace && !child->has_init) return -EINVAL;
  if (child->has_init && !launcher) return -EINVAL;
  if (child->has_init && usable <= 0) return usable < 0 ? usable : -EOPNOTSUPP;
  if (child->has_init && !keeps) return -EPERM;
  child->via_launcher = keeps;
  child->private_memory = (head->flags & AIOSPAWN_PRIVATE_MEMORY) || (launcher && !child->via_launcher);
  return 0;
}

/* What it reports can lie in our memory, if that is really shared. Not where a shared table pays: a copy of its pipe's end is in the
 * segment until the child reports that it has left. */
static int may_report_by_memory(const struct aiospawn_reactor *reactor, const struct child *child) {
  uint32_t features = features_found();
  return !child->private_memory && !child->via_launcher && (features & AIOSPAWN_HAS_SHARED_MEMORY) &&
         !(features & AIOSPAWN_UNDER_VALGRIND) && reactor->last_number < FD_BLOCK_THRESHOLD;
}

/* The child exists, but its exit cannot be watched, or it does not get anywhere. */
static void kill_and_reap(struct child *child) {
  int status;
  sys4(SYS_pidfd_send_signal, child->watched[WATCHED_PIDFD].fd, SIGKILL, 0, 0);
  exit_status_of(child->watched[WATCHED_PIDFD].fd, WEXITED, &status, NULL);
  child->reaped = 1;
}

/* Only its end wakes the loop, which cannot come from a shared table before the child reports that it has left. */
static int status_watch(struct child *child) {
  if (child->by_memory) return 0;
  int reports = child->segment != FD_BLOCK_NONE && !child->stack->launch.awaited;
  return watched_fd_set(&child->watched[WATCHED_STATUS], reports ? EPOLLIN : 0);
}

/* A PID namespace needs CAP_SYS_ADMIN, here or in a user namespace that is made with it. With that right the kernel may end it together with
 * this process, also where somebody has stopped init: SIGKILL to process 1 is everybody's end. Elsewhere it would be init's alone, and not
 * its tree's; and nobody would be left to remove the tree's cgroup. */
static void choose_namespaces(struct child *child, const struct aiospawn_request *head) {
  const uint32_t needed = AIOSPAWN_HAS_CLONE3 | AIOSPAWN_HAS_PIDFD_INFO | AIOSPAWN_HAS_PIDFD_AUTOKILL;
  struct launch *launch = &child->stack->launch;
  if (!child->has_namespace) return; /* three system calls less for every other launch */
  int may = privileges_make_namespaces();
  launch->in_new_user = !may;
  child->ends_with_pidfd = may && !(head->flags & AIOSPAWN_INIT_CGROUP) && (features_found() & needed) == needed;
  launch->user = geteuid();
  launch->group = getegid();
}

/* With all signals blocked: a handler could run in the child. */
static long clone_first(const struct aiospawn_reactor *reactor, struct child *child, const struct aiospawn_request *head) {
  uint64_t all = ~(uint64_t)0, mask = 0;
  long result = sys_sigmask(&all, &mask);
  if (result < 0) return result; /* a seccomp filter */
  launch_finish(child, head, mask);
  choose_namespaces(child, head);
  result = choose_steps(child, head);
  if (result == 0) {
    shared_table_enter(child, head);
    if (child->segment == FD_BLOCK_NONE) shared_table_list_siblings(&child->stack->launch);
    if (child->via_launcher) launcher_write_ends(&child->stack->launch, child->has_init);
    result = status_watch(child);
  }
  if (result == 0) result = clone_child(reactor, child);
  sys_sigmask(&mask, NULL);
  return result;
}

/* ---- waiting for the child to leave the table ------------------------------------------------------------------------ */

/* No step of the child has run yet: it was stopped, by a signal or a debugger. Another takes its place, with a copy of the table,
 * its ends under the segment's numbers as they are. Until it has them, no other launch may give the segment back. */
static long clone_again(const struct aiospawn_reactor *reactor, struct child *child) {
  uint64_t all = ~(uint64_t)0, mask = 0;
  struct launch *launch = &child->stack->launch;
  fd_block_lend(child->segment, NULL);
  kill_and_reap(child);
  watched_fd_close(&child->watched[WATCHED_PIDFD]);
  child->pid = child->reaped = 0;
  launch->segment = FD_BLOCK_NONE;
  launch->awaited = 0;
  shared_table_list_siblings(launch);
  shared_table_spare_ends(launch);
  __atomic_store_n(&launch->alive, ALIVE_IN_TABLE, __ATOMIC_RELEASE);
  long pid = sys_sigmask(&all, &mask);
  if (pid < 0) return pid;
  pid = clone_child(reactor, child);
  sys_sigmask(&mask, NULL);
  return pid;
}

/* The child's pid, or an error, once it is on its way and no stream of ours is needed any more. */
static long await_table(const struct aiospawn_reactor *reactor, struct child *child) {
  struct launch *launch = &child->stack->launch;
  long pid = child->pid;
  if (!launch->awaited) return pid;
  if (shared_table_await(launch)) {
    child_leave_table(child);
    return pid;
  }
  pid = clone_again(reactor, child);
  fd_block_give_back(child->segment, NULL);
  child->segment = FD_BLOCK_NONE;
  return pid;
}

/* ---- the launch ------------------------------------------------------------------------------------------------------ */

static int take_lease(struct aiospawn_reactor *reactor, struct child *child, const struct aiospawn_request *head) {
  if (!head->lease_ms) return 0;
  if (!child->has_init) return -EINVAL;
  int result = lease_open(&reactor->lease);
  child->lease = reactor->lease.file;
  return result;
}

static int launch(struct aiospawn_reactor *reactor, struct child *child, const struct layout *layout,
                  const unsigned char *request) {
  int result = choose_memory(child, &layout->head);
  if (result < 0) return result;
  result = launch_begin(child, layout, request);
  if (result == 0) result = status_open(child, &reactor->children.pool, may_report_by_memory(reactor, child));
  if (result == 0) result = take_lease(reactor, child, &layout->head);
  if (result < 0) return result;
  long pid = clone_first(reactor, child, &layout->head);
  if (pid < 0) return (int)pid;
  child->pid = (int32_t)pid;
  pid = await_table(reactor, child);
  if (pid < 0) return (int)pid;
  child->pid = (int32_t)pid;
  child_close_ends(child);
  reactor->last_number = child->watched[WATCHED_PIDFD].fd;
  fd_block_fit(reactor->last_number);
  if (child->by_memory && !child->pooled) children_add_launching(&reactor->children, child);
  result = launch_watch(child);
  if (result < 0 && !child->has_init) kill_and_reap(child); /* init's tree ends when the socket is closed */
  return result;
}

int aiospawn_launch(struct aiospawn_reactor *reactor, const unsigned char *request, size_t size,
                    struct aiospawn_launched *launched) {
  struct layout layout;
  if (reactor->dead) return -EOWNERDEAD;
  orphans_reap(ORPHANS_AT_A_LAUNCH);
  int result = request_read(request, size, &layout);
  if (result < 0) return result;
  if (layout.head.flags & AIOSPAWN_FORKED) return -EINVAL;
  struct child *child = child_enter(&reactor->children, reactor->epoll);
  if (!child) return -ENOMEM;
  result = launch(reactor, child, &layout, request);
  if (result < 0) {
    child_close_ends(child);
    child_drop(&reactor->children, child);
    return result;
  }
  *launched = (struct aiospawn_launched){
      .token = child->token, .pid = child->pid, .pidfd = child->watched[WATCHED_PIDFD].fd};
  return 0;
}
