/* The parent's half of a launch: the pipes, the clone. */
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "child/clone.h"
#include "descriptor.h"
#include "orphans.h"
#include "monotonic.h"
#include "probe.h"
#include "reactor.h"
#include "lock.h"
#include "exit_status.h"
#include "child/sys.h"
#include "launcher_client.h"

/* ---- pipes --------------------------------------------------------------------------------------------------------- */

/* near: non-blocking, in the parent. Under the state lock, so that a fork finds both ends in the table. */
static int pipe_open(int reads_near, const struct flight *flight, struct source *near, int32_t *far) {
  int ends[2], error = 0;
  state_lock();
  if (pipe2(ends, O_CLOEXEC) == -1) {
    error = -errno;
  } else {
    near->fd = ends[reads_near ? 0 : 1];
    *far = ends[reads_near ? 1 : 0];
    int first = descriptor_lift(&near->fd, 3), second = descriptor_lift_end(far, flight);
    error = first < 0 ? first : second;
    if (error == 0 && fcntl(near->fd, F_SETFL, O_NONBLOCK) == -1) error = -errno;
  }
  state_unlock();
  return error;
}

/* Neither end blocks: what the child has to say is little. */
static int status_open(struct child *child) {
  int ends[2], error = 0;
  state_lock();
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == -1) {
    error = -errno;
  } else {
    child->sources[WATCHED_STATUS].fd = ends[0];
    child->far[AIOSPAWN_END_STATUS] = ends[1];
    int first = descriptor_lift(&child->sources[WATCHED_STATUS].fd, 3);
    int second = descriptor_lift_end(&child->far[AIOSPAWN_END_STATUS], &child->slot->flight);
    error = first < 0 ? first : second;
  }
  state_unlock();
  return error;
}

/* The parent reads and writes the same end, by two descriptors: each is watched for its own side. */
static int pty_open(const struct aiospawn_request *head, struct child *child) {
  struct source *input = &child->sources[0], *output = &child->sources[1];
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
  if (!error) { /* not by path: it may be another mount's */
    child->far[0] = ioctl(end, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    error = child->far[0] == -1 ? -errno : descriptor_lift_end(&child->far[0], &child->slot->flight);
  }
  input->terminal = output->terminal = 1;
  input->sized = output->sized = 1;
  state_unlock();
  return error;
}

static int pipes_open(struct aiospawn_reactor *reactor, struct child *child, const struct aiospawn_request *head) {
  int result = 0;
  if (head->pipes[0] == AIOSPAWN_PTY) result = pty_open(head, child);
  for (int stream = 0; stream < AIOSPAWN_STREAMS && result == 0; stream++) {
    struct source *near = &child->sources[stream];
    int child_writes = head->pipes[stream] == AIOSPAWN_CHILD_WRITES;
    if (head->pipes[stream] == AIOSPAWN_NO_PIPE || head->pipes[stream] == AIOSPAWN_PTY) continue;
    result = pipe_open(child_writes, &child->slot->flight, near, &child->far[stream]);
    near->sized = head->pipe_size != 0;
    if (result == 0 && near->sized && fcntl(near->fd, F_SETPIPE_SZ, head->pipe_size) == -1) result = -errno;
  }
  for (int stream = 0; stream < AIOSPAWN_STREAMS && result == 0; stream++)
    if (child->sources[stream].fd >= 0) result = source_watch(reactor, &child->sources[stream], stream ? EPOLLIN : 0);
  return result < 0 ? result : status_open(child);
}

/* ---- the clone ----------------------------------------------------------------------------------------------------- */

static void skip_prelude(struct flight *flight, const struct aiospawn_request *head) {
  flight->steps += head->prelude;
  flight->step_count -= head->prelude;
  flight->first_index = head->prelude;
}

void launch_finish(struct child *child, const struct aiospawn_request *head, uint64_t mask) {
  struct flight *flight = &child->slot->flight;
  uint32_t features = probed_features();
  flight->status = child->far[AIOSPAWN_END_STATUS];
  memcpy(flight->ends, child->far, sizeof flight->ends);
  flight->clear_handlers = !(features & AIOSPAWN_HAS_CLONE3);
  flight->has_close_range = (features & AIOSPAWN_HAS_CLOSE_RANGE) != 0;
  flight->landing = LANDING_NONE;
  memset(flight->siblings, 0, sizeof flight->siblings);
  flight->awaited = 0;
  flight->left = 0;
  __atomic_store_n(&flight->alive, ALIVE_IN_TABLE, __ATOMIC_RELEASE);
  flight->mask = head->flags & AIOSPAWN_SET_SIGMASK ? head->sigmask : mask;
}

/* Without a descriptor for the request, or where no file may be written (RLIMIT_FSIZE), the steps run in a copy of the memory. */
static void choose_steps(struct child *child, const struct aiospawn_request *head) {
  struct flight *flight = &child->slot->flight;
  if (child->via_launcher && launcher_prepare(flight, head, &child->far[AIOSPAWN_END_REQUEST]) < 0) {
    child->via_launcher = 0;
    child->private_memory = 1;
  }
  if (!child->via_launcher) skip_prelude(flight, head);
}

static long clone_child(const struct aiospawn_reactor *reactor, struct child *child) {
  uint32_t features = probed_features();
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

/* Where the steps run that must not run in shared memory. */
static void choose_memory(struct child *child, const struct aiospawn_request *head) {
  int launcher = (head->flags & AIOSPAWN_VIA_LAUNCHER) != 0;
  child->via_launcher = launcher && aiospawn_launcher_usable() && launcher_keeps_privileges();
  child->private_memory = (head->flags & AIOSPAWN_PRIVATE_MEMORY) || (launcher && !child->via_launcher);
}

/* How the child comes by an inherited stream in a shared table. */
enum inheritance { CLOSED_HERE, DUPLICATED, AS_IT_IS, NOT_INHERITED };

/* Closing a duplicate of a file would drop the process's locks on it: the child takes it as it is. A lock on a device, a terminal
 * or a FIFO is rare, and looked for. */
static enum inheritance inheritance_of(int stream) {
  struct stat about;
  int flags = fcntl(stream, F_GETFD);
  if (flags == -1) return CLOSED_HERE;
  if (flags & FD_CLOEXEC || fstat(stream, &about) == -1) return NOT_INHERITED;
  if (S_ISREG(about.st_mode) || S_ISBLK(about.st_mode)) return AS_IT_IS;
  return descriptor_is_locked(stream) ? AS_IT_IS : DUPLICATED;
}

/* A landing slot with these descriptors, or LANDING_NONE. The launcher's number is shared as it is, so must lie below. */
static int take_slot(int lowest_new, int program, const int32_t *descriptors, unsigned inherited) {
  int slot = landing_take(lowest_new);
  if (slot == LANDING_NONE) return slot;
  if (program >= landing_first(0)) {
    landing_give_back(slot, NULL);
    return LANDING_NONE;
  }
  return landing_fill(slot, descriptors, inherited) ? slot : LANDING_NONE;
}

/* Moves the child's ends into a landing slot, so that the clone need not copy the descriptor table. Nothing happens where
 * that does not pay or cannot be. close_range was tried by a child that reported through shared memory (probe.c): where it is
 * there, this child's words reach us too. Not so under valgrind, whose clone is a fork. */
static void land(struct child *child, const struct aiospawn_request *head) {
  int32_t descriptors[LANDING_WIDTH];
  struct flight *flight = &child->slot->flight;
  int lowest_new = child->far[AIOSPAWN_END_STATUS];
  if (!(head->flags & AIOSPAWN_MAY_SHARE_TABLE) || child->private_memory) return;
  if (lowest_new < LANDING_THRESHOLD || !flight->has_close_range) return;
  if (head->top >= AIOSPAWN_STREAMS) return; /* a step could overwrite a slot's numbers */
  memcpy(descriptors, child->far, sizeof descriptors);
  unsigned inherits = 0;
  int awaited = 0;
  for (int stream = 0; stream < AIOSPAWN_STREAMS; stream++) {
    if (!(head->inherits >> stream & 1)) continue;
    enum inheritance how = inheritance_of(stream);
    if (how == NOT_INHERITED) return;
    descriptors[stream] = how == DUPLICATED ? stream : -1;
    inherits |= (unsigned)(how == DUPLICATED) << stream;
    awaited |= how == AS_IT_IS;
  }
  if (awaited && lowest_new < LANDING_AWAITED_THRESHOLD) return;
  int slot = take_slot(lowest_new, flight->program, descriptors, inherits);
  if (slot == LANDING_NONE) return;
  landing_depart(slot, flight);
  child->landing = (int16_t)slot;
  child_close_ends(child);
  flight->landing = landing_first(slot);
  landing_block(&flight->landing_block, &flight->landing_beyond);
  flight->inherits = inherits;
  flight->awaited = awaited;
  for (int end = 0; end < AIOSPAWN_ENDS; end++) flight->ends[end] = descriptors[end] >= 0 ? flight->landing + end : -1;
  flight->status = flight->ends[AIOSPAWN_END_STATUS];
}

/* The kernel gives it the lowest number that is free: in a program without standard streams one of theirs. */
static int pidfd_lift(struct source *pidfd) {
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

/* The child exists, but its exit cannot be watched, or it does not get anywhere. */
static void kill_and_reap(struct child *child) {
  int status;
  sys4(SYS_pidfd_send_signal, child->sources[WATCHED_PIDFD].fd, SIGKILL, 0, 0);
  status_of(child->sources[WATCHED_PIDFD].fd, WEXITED, &status, NULL);
  child->reaped = 1;
}

/* Only its end wakes us, which cannot come from a shared table before the child says that it has left. */
static int status_watch(const struct aiospawn_reactor *reactor, struct child *child) {
  int told = child->landing != LANDING_NONE && !child->slot->flight.awaited;
  return source_watch(reactor, &child->sources[WATCHED_STATUS], told ? EPOLLIN : 0);
}

/* A child with a table of its own gets copies of other children's ends: it is to close them first. Those that may go are put
 * away before, for a child may be stopped before it does anything. */
static void name_siblings(struct flight *flight) {
  landing_filled(flight->siblings);
  landing_block(&flight->landing_block, &flight->landing_beyond);
}

/* With all signals blocked: a handler could run in the child. */
static long take_off(const struct aiospawn_reactor *reactor, struct child *child, const struct aiospawn_request *head) {
  uint64_t all = ~(uint64_t)0, mask = 0;
  long result = sys_sigmask(&all, &mask);
  if (result < 0) return result; /* a seccomp filter */
  launch_finish(child, head, mask);
  choose_steps(child, head);
  land(child, head);
  if (child->landing == LANDING_NONE) name_siblings(&child->slot->flight);
  if (child->via_launcher) launcher_tell_ends(&child->slot->flight);
  result = status_watch(reactor, child);
  if (result == 0) result = clone_child(reactor, child);
  sys_sigmask(&mask, NULL);
  return result;
}

/* ---- waiting for the child to leave the table -------------------------------------------------------------------------- */

/* Who redirects a stream after the launch must not redirect the child's. The kernel wakes a waiter for the word that it clears,
 * but not for a private one. Whoever forbids the child to wake us delays us. 0: it has not left in time, and will do nothing any
 * more. */
static int departs(struct flight *flight) {
  enum { PATIENCE_NS = 1000000000 };
  static const struct timespec moment = {.tv_nsec = 10000000};
  int64_t deadline = monotonic_ns() + PATIENCE_NS;
  while (__atomic_load_n(&flight->alive, __ATOMIC_ACQUIRE) == ALIVE_IN_TABLE) {
    int32_t still = ALIVE_IN_TABLE;
    if (monotonic_ns() > deadline)
      return !__atomic_compare_exchange_n(&flight->alive, &still, GIVEN_UP, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    sys4(SYS_futex, (long)&flight->alive, FUTEX_WAIT, ALIVE_IN_TABLE, (long)&moment);
  }
  return 1;
}

static void keep(struct flight *flight, int number) { flight->siblings[number / 64] &= ~((uint64_t)1 << number % 64); }

/* No step of the child has run yet: it was stopped, by a signal or a debugger. Another takes its place, with a copy of the table,
 * its ends under the slot's numbers as they are. Until it has them, the slot is nobody else's to give back. */
static long take_off_again(const struct aiospawn_reactor *reactor, struct child *child) {
  uint64_t all = ~(uint64_t)0, mask = 0;
  struct flight *flight = &child->slot->flight;
  landing_depart(child->landing, NULL);
  kill_and_reap(child);
  source_close(reactor, &child->sources[WATCHED_PIDFD]);
  child->pid = child->reaped = 0;
  flight->landing = LANDING_NONE;
  flight->awaited = 0;
  name_siblings(flight);
  for (int end = 0; end < AIOSPAWN_ENDS; end++)
    if (flight->ends[end] >= 0) keep(flight, flight->ends[end] - flight->landing_block);
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
  if (departs(flight)) {
    child_leave_table(child);
    return pid;
  }
  pid = take_off_again(reactor, child);
  landing_give_back(child->landing, NULL);
  child->landing = LANDING_NONE;
  return pid;
}

/* ---- the launch ------------------------------------------------------------------------------------------------------ */

int launch_begin(struct aiospawn_reactor *reactor, struct child *child, const struct layout *layout,
                 const unsigned char *request) {
  unsigned char *memory;
  child->slot = slot_acquire(layout->pointers + layout->size, &memory);
  if (!child->slot) return -ENOMEM;
  child->keep_pidfd = (layout->head.flags & AIOSPAWN_KEEP_PIDFD) != 0;
  child->collected = (layout->head.flags & AIOSPAWN_COLLECTED) != 0;
  int result = request_place(layout, request, memory, &child->slot->flight);
  return result < 0 ? result : pipes_open(reactor, child, &layout->head);
}

int launch_watch(const struct aiospawn_reactor *reactor, struct child *child) {
  int result = pidfd_lift(&child->sources[WATCHED_PIDFD]);
  return result < 0 ? result : source_watch(reactor, &child->sources[WATCHED_PIDFD], EPOLLIN);
}

static int launch(struct aiospawn_reactor *reactor, struct child *child, const struct layout *layout,
                  const unsigned char *request) {
  int result = launch_begin(reactor, child, layout, request);
  if (result < 0) return result;
  choose_memory(child, &layout->head);
  long pid = take_off(reactor, child, &layout->head);
  if (pid < 0) return (int)pid;
  child->pid = (int32_t)pid;
  pid = depart(reactor, child);
  if (pid < 0) return (int)pid;
  child->pid = (int32_t)pid;
  child_close_ends(child);
  result = launch_watch(reactor, child);
  if (result < 0) kill_and_reap(child);
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
  struct child *child = child_enter(reactor);
  if (!child) return -ENOMEM;
  result = launch(reactor, child, &layout, request);
  if (result < 0) {
    child_close_ends(child);
    child_drop(reactor, child);
    return result;
  }
  *launched = (struct aiospawn_launched){
      .token = child->token, .pid = child->pid, .pidfd = child->sources[WATCHED_PIDFD].fd};
  return 0;
}
