/* The parent's half of a launch by a clone. */
#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "child/child.h"
#include "child/clone.h"
#include "child/sys.h"
#include "exit_status.h"
#include "features.h"
#include "launch_setup.h"
#include "launcher_client.h"
#include "orphans.h"
#include "reactor.h"
#include "shared_table.h"

/* ---- the clone ----------------------------------------------------------------------------------------------------- */

static void skip_prelude(struct flight *flight, const struct aiospawn_request *head) {
  flight->steps += head->prelude;
  flight->step_count -= head->prelude;
  flight->first_index = head->prelude;
}

/* Without a descriptor for the request, or where no file may be written (RLIMIT_FSIZE), the steps run in a copy of the memory. */
static int choose_steps(struct child *child, const struct aiospawn_request *head) {
  struct flight *flight = &child->slot->flight;
  int error = child->via_launcher ? launcher_prepare(child, head, &child->far[AIOSPAWN_END_REQUEST]) : 0;
  if (error < 0 && child->has_init) return error;
  if (error < 0) {
    child->via_launcher = 0;
    child->private_memory = 1;
  }
  if (!child->via_launcher) skip_prelude(flight, head);
  return 0;
}

static long clone_child(const struct aiospawn_reactor *reactor, struct child *child) {
  uint32_t features = features_found();
  struct slot *slot = child->slot;
  struct flight *flight = &slot->flight;
  int suspend = reactor->suspend || !(features & AIOSPAWN_HAS_STUB);
  struct clone_plan plan = {
      .flags = CLONE_PIDFD | (child->private_memory ? 0 : CLONE_VM | CLONE_CHILD_CLEARTID) | (suspend ? CLONE_VFORK : 0) |
               (flight->landing == LANDING_NONE ? 0 : CLONE_FILES),
      .use_clone3 = (features & AIOSPAWN_HAS_CLONE3) != 0,
      .stack = slot->stack,
      .stack_size = SLOT_STACK,
      .pidfd = &child->sources[WATCHED_PIDFD].fd,
      .alive = &flight->alive,
  };
  flight->memory = child->private_memory ? MEMORY_COPIED : MEMORY_SHARED;
  long pid = child_clone(&plan, child_run, flight);
  /* A clone that fails late has written a number there, which is another's by now. */
  if (pid < 0) child->sources[WATCHED_PIDFD].fd = -1;
  /* The child has a copy of the memory that holds the word: it will never be cleared here. */
  if (pid < 0 || child->private_memory) __atomic_store_n(&flight->alive, 0, __ATOMIC_RELEASE);
  return pid;
}

/* Where the steps run that must not run in shared memory. Init is the launcher: nothing can take its place. */
static int choose_memory(struct child *child, const struct aiospawn_request *head) {
  int launcher = (head->flags & AIOSPAWN_VIA_LAUNCHER) != 0;
  child->has_init = (head->flags & AIOSPAWN_INIT) != 0;
  if (child->has_init && !launcher) return -EINVAL;
  if (child->has_init && !aiospawn_launcher_usable()) return -EOPNOTSUPP;
  if (child->has_init && !launcher_keeps_privileges()) return -EPERM;
  child->via_launcher = launcher && aiospawn_launcher_usable() && launcher_keeps_privileges();
  child->private_memory = (head->flags & AIOSPAWN_PRIVATE_MEMORY) || (launcher && !child->via_launcher);
  return 0;
}

/* The child exists, but its exit cannot be watched, or it does not get anywhere. */
static void kill_and_reap(struct child *child) {
  int status;
  sys4(SYS_pidfd_send_signal, child->sources[WATCHED_PIDFD].fd, SIGKILL, 0, 0);
  status_of(child->sources[WATCHED_PIDFD].fd, WEXITED, &status, NULL);
  child->reaped = 1;
}

/* Only its end wakes us, which cannot come from a shared table before the child says that it has left. */
static int status_watch(struct child *child) {
  int told = child->landing != LANDING_NONE && !child->slot->flight.awaited;
  return source_watch(&child->sources[WATCHED_STATUS], told ? EPOLLIN : 0);
}

/* With all signals blocked: a handler could run in the child. */
static long take_off(const struct aiospawn_reactor *reactor, struct child *child, const struct aiospawn_request *head) {
  uint64_t all = ~(uint64_t)0, mask = 0;
  long result = sys_sigmask(&all, &mask);
  if (result < 0) return result; /* a seccomp filter */
  launch_finish(child, head, mask);
  result = choose_steps(child, head);
  if (result == 0) {
    shared_table_enter(child, head);
    if (child->landing == LANDING_NONE) shared_table_name_siblings(&child->slot->flight);
    if (child->via_launcher) launcher_tell_ends(&child->slot->flight, child->has_init);
    result = status_watch(child);
  }
  if (result == 0) result = clone_child(reactor, child);
  sys_sigmask(&mask, NULL);
  return result;
}

/* ---- waiting for the child to leave the table -------------------------------------------------------------------------- */

/* No step of the child has run yet: it was stopped, by a signal or a debugger. Another takes its place, with a copy of the table,
 * its ends under the slot's numbers as they are. Until it has them, the slot is nobody else's to give back. */
static long take_off_again(const struct aiospawn_reactor *reactor, struct child *child) {
  uint64_t all = ~(uint64_t)0, mask = 0;
  struct flight *flight = &child->slot->flight;
  landing_depart(child->landing, NULL);
  kill_and_reap(child);
  source_close(&child->sources[WATCHED_PIDFD]);
  child->pid = child->reaped = 0;
  flight->landing = LANDING_NONE;
  flight->awaited = 0;
  shared_table_name_siblings(flight);
  shared_table_spare_ends(flight);
  __atomic_store_n(&flight->alive, ALIVE_IN_TABLE, __ATOMIC_RELEASE);
  long pid = sys_sigmask(&all, &mask);
  if (pid < 0) return pid;
  pid = clone_child(reactor, child);
  sys_sigmask(&mask, NULL);
  return pid;
}

/* The child's pid, or an error, once it is on its way and no stream of ours is needed any more. */
static long depart(const struct aiospawn_reactor *reactor, struct child *child) {
  struct flight *flight = &child->slot->flight;
  long pid = child->pid;
  if (!flight->awaited) return pid;
  if (shared_table_await(flight)) {
    child_leave_table(child);
    return pid;
  }
  pid = take_off_again(reactor, child);
  landing_give_back(child->landing, NULL);
  child->landing = LANDING_NONE;
  return pid;
}

/* ---- the launch ------------------------------------------------------------------------------------------------------ */

static int launch(struct aiospawn_reactor *reactor, struct child *child, const struct layout *layout,
                  const unsigned char *request) {
  int result = launch_begin(child, layout, request);
  if (result < 0) return result;
  result = choose_memory(child, &layout->head);
  if (result < 0) return result;
  long pid = take_off(reactor, child, &layout->head);
  if (pid < 0) return (int)pid;
  child->pid = (int32_t)pid;
  pid = depart(reactor, child);
  if (pid < 0) return (int)pid;
  child->pid = (int32_t)pid;
  child_close_ends(child);
  result = launch_watch(child);
  if (result < 0 && !child->has_init) kill_and_reap(child); /* init's tree ends when the socket is closed */
  return result;
}

int aiospawn_launch(struct aiospawn_reactor *reactor, const unsigned char *request, size_t size,
                    struct aiospawn_launched *launched) {
  struct layout layout;
  if (reactor->dead) return -EOWNERDEAD;
  left_reap(LEFT_AT_A_LAUNCH);
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
      .token = child->token, .pid = child->pid, .pidfd = child->sources[WATCHED_PIDFD].fd};
  return 0;
}
