/* The parent's half of a launch: the request into a slot, the pipes, the clone. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"
#include "reactor.h"
#include "status.h"
#include "sys.h"

/* ---- the request --------------------------------------------------------------------------------------------------- */

struct layout {                    /* where the parts of a request lie, and what its pointer arrays need */
  struct aiospawn_request head;
  size_t steps, data, strings, size;
  size_t pointers;                 /* candidates, arguments, variables, a NULL behind each */
};

static int request_read(const unsigned char *request, size_t size, struct layout *layout) {
  if (size < sizeof layout->head) return -EINVAL;
  memcpy(&layout->head, request, sizeof layout->head);
  const struct aiospawn_request *head = &layout->head;
  size_t strings = (size_t)head->candidates + head->arguments + head->variables;
  if (head->version != AIOSPAWN_REQUEST_VERSION || head->steps > AIOSPAWN_MAX_STEPS) return -EINVAL;
  layout->steps = sizeof *head;
  layout->data = layout->steps + head->steps * sizeof(struct aiospawn_step);
  layout->strings = layout->data + head->data_size;
  layout->size = size;
  layout->pointers = (strings + 3) * sizeof(char *);
  if (!head->candidates || layout->strings > size || strings > size - layout->strings) return -EINVAL;
  if (strings && request[size - 1] != 0) return -EINVAL;
  for (int i = 0; i < AIOSPAWN_STREAMS; i++)
    if (head->pipes[i] > AIOSPAWN_CHILD_WRITES) return -EINVAL;
  return head->top < -1 || head->pipe_size < 0 ? -EINVAL : 0;
}

static int is_string(const struct aiospawn_step *step, const unsigned char *data) {
  return step->size && data[step->data + step->size - 1] == 0;
}

/* What the child trusts without looking: the kinds, the registers, the offsets, the terminated strings. */
static int step_check(const struct aiospawn_request *head, const struct aiospawn_step *step, const unsigned char *data) {
  if (step->kind == AIOSPAWN_STEP_EXECVE || step->kind >= AIOSPAWN_STEP_KINDS) return -EINVAL;
  if (step->data > head->data_size || step->size > head->data_size - step->data) return -EINVAL;
  if (step->fd < -AIOSPAWN_STREAMS || (step->fd < 0 && head->pipes[-1 - step->fd] == AIOSPAWN_NO_PIPE)) return -EINVAL;
  switch (step->kind) {
    case AIOSPAWN_STEP_SAVE:
      return step->value < 0 || step->value >= AIOSPAWN_MAX_SAVED ? -EINVAL : 0;
    case AIOSPAWN_STEP_DUP_SAVED:
      return step->fd < 0 || step->fd >= AIOSPAWN_MAX_SAVED || step->value > head->top ? -EINVAL : 0;
    case AIOSPAWN_STEP_DUP:
      return step->value > head->top ? -EINVAL : 0;
    case AIOSPAWN_STEP_OPEN:
      return step->fd > head->top || !is_string(step, data) ? -EINVAL : 0;
    case AIOSPAWN_STEP_SETGROUPS:
      return step->value < 0 || (uint64_t)step->value * 4 != step->size ? -EINVAL : 0;
    case AIOSPAWN_STEP_CHDIR:
      return is_string(step, data) ? 0 : -EINVAL;
    default:
      return 0;
  }
}

static const char **point(const char ***next, const char **string, const char *end, uint32_t count) {
  const char **first = *next;
  for (; count && *string < end; count--) {
    *(*next)++ = *string;
    *string += strlen(*string) + 1;
  }
  *(*next)++ = NULL;
  return count ? NULL : first;
}

/* Copies the request into the slot's memory, pointer arrays first, and lets the flight point into it. */
static int request_place(const struct layout *layout, const unsigned char *request, unsigned char *memory,
                         struct flight *flight) {
  const char **next = (const char **)memory;
  unsigned char *copy = memory + layout->pointers;
  memcpy(copy, request, layout->size);
  const char *string = (const char *)copy + layout->strings, *end = (const char *)copy + layout->size;
  flight->steps = (const struct aiospawn_step *)(copy + layout->steps);
  flight->step_count = layout->head.steps;
  flight->data = copy + layout->data;
  flight->top = layout->head.top;
  flight->candidates = point(&next, &string, end, layout->head.candidates);
  flight->arguments = flight->candidates ? point(&next, &string, end, layout->head.arguments) : NULL;
  flight->variables = flight->arguments ? point(&next, &string, end, layout->head.variables) : NULL;
  if (!flight->variables || string != end) return -EINVAL;
  for (uint32_t i = 0; i < flight->step_count; i++)
    if (step_check(&layout->head, &flight->steps[i], flight->data) < 0) return -EINVAL;
  return 0;
}

/* ---- pipes --------------------------------------------------------------------------------------------------------- */

/* Descriptors 0, 1, 2 are the child's to inherit, and a plan writes up to `top`: ours lie above. */
static int lift(int *fd, int lowest) {
  if (*fd >= lowest) return 0;
  int moved = fcntl(*fd, F_DUPFD_CLOEXEC, lowest);
  int error = -errno;
  close(*fd);
  *fd = moved;
  return moved < 0 ? error : 0;
}

/* near: non-blocking, in the parent. Under the state lock, so that a fork finds both ends in the table. */
static int pipe_open(int reads_near, int lowest, struct source *near, int32_t *far) {
  int ends[2], error = 0;
  state_lock();
  if (pipe2(ends, O_CLOEXEC) == -1) {
    error = -errno;
  } else {
    int first = lift(&ends[0], lowest), second = lift(&ends[1], lowest);
    near->fd = ends[reads_near ? 0 : 1];
    *far = ends[reads_near ? 1 : 0];
    error = first < 0 ? first : second;
    if (error == 0 && fcntl(near->fd, F_SETFL, O_NONBLOCK) == -1) error = -errno;
  }
  state_unlock();
  return error;
}

static int pipes_open(struct aiospawn_reactor *reactor, struct child *child, const struct aiospawn_request *head) {
  int lowest = head->top < 2 ? 3 : head->top + 1;
  for (int stream = 0; stream < AIOSPAWN_STREAMS; stream++) {
    if (head->pipes[stream] == AIOSPAWN_NO_PIPE) continue;
    struct source *near = &child->sources[stream];
    int child_writes = head->pipes[stream] == AIOSPAWN_CHILD_WRITES;
    int result = pipe_open(child_writes, lowest, near, &child->far[stream]);
    if (result < 0) return result;
    if (head->pipe_size && fcntl(near->fd, F_SETPIPE_SZ, head->pipe_size) == -1) return -errno;
    result = source_watch(reactor, near, child_writes ? EPOLLIN : 0);
    if (result < 0) return result;
  }
  int result = pipe_open(1, lowest, &child->sources[WATCHED_STATUS], &child->far[AIOSPAWN_STREAMS]);
  return result < 0 ? result : source_watch(reactor, &child->sources[WATCHED_STATUS], EPOLLIN);
}

static void far_close(struct child *child) {
  state_lock();
  for (int i = 0; i <= AIOSPAWN_STREAMS; i++) {
    if (child->far[i] >= 0) close(child->far[i]);
    child->far[i] = -1;
  }
  state_unlock();
}

/* ---- the clone ----------------------------------------------------------------------------------------------------- */

static long clone_child(const struct aiospawn_reactor *reactor, struct child *child) {
  uint32_t features = probed_features();
  struct slot *slot = child->slot;
  struct flight *flight = &slot->flight;
  int suspend = reactor->suspend || !(features & AIOSPAWN_HAS_STUB);
  struct clone_plan plan = {
      .flags = CLONE_PIDFD | (child->private_memory ? 0 : CLONE_VM | CLONE_CHILD_CLEARTID) | (suspend ? CLONE_VFORK : 0),
      .use_clone3 = (features & AIOSPAWN_HAS_CLONE3) != 0,
      .stack = slot->stack,
      .stack_size = SLOT_STACK,
      .pidfd = &child->sources[WATCHED_PIDFD].fd,
      .alive = &flight->alive,
  };
  flight->status = child->far[AIOSPAWN_STREAMS];
  memcpy(flight->ends, child->far, sizeof flight->ends);
  flight->clear_handlers = !plan.use_clone3;
  flight->has_close_range = (features & AIOSPAWN_HAS_CLOSE_RANGE) != 0;
  __atomic_store_n(&flight->alive, 1, __ATOMIC_RELEASE);
  uint64_t all = ~(uint64_t)0;
  sys_sigmask(&all, &flight->mask);
  long pid = child_clone(&plan, child_run, flight);
  sys_sigmask(&flight->mask, NULL);
  /* The child has a copy of the memory that holds the word: it will never be cleared here. */
  if (pid < 0 || child->private_memory) __atomic_store_n(&flight->alive, 0, __ATOMIC_RELEASE);
  return pid;
}

/* The child exists, but its exit could not be watched. */
static void kill_and_reap(struct child *child) {
  int status;
  sys4(SYS_pidfd_send_signal, child->sources[WATCHED_PIDFD].fd, SIGKILL, 0, 0);
  status_of(child->sources[WATCHED_PIDFD].fd, WEXITED, &status, NULL);
  child->reaped = 1;
}

static int launch(struct aiospawn_reactor *reactor, struct child *child, const struct layout *layout,
                  const unsigned char *request) {
  unsigned char *memory;
  child->slot = slot_acquire(layout->pointers + layout->size, &memory);
  if (!child->slot) return -ENOMEM;
  int result = request_place(layout, request, memory, &child->slot->flight);
  if (result == 0) result = pipes_open(reactor, child, &layout->head);
  if (result < 0) return result;
  child->private_memory = (layout->head.flags & AIOSPAWN_PRIVATE_MEMORY) != 0;
  long pid = clone_child(reactor, child);
  if (pid < 0) return (int)pid;
  child->pid = (int32_t)pid;
  far_close(child);
  result = source_watch(reactor, &child->sources[WATCHED_PIDFD], EPOLLIN);
  if (result < 0) kill_and_reap(child);
  return result;
}

int aiospawn_launch(struct aiospawn_reactor *reactor, const unsigned char *request, size_t size,
                    struct aiospawn_launched *launched) {
  struct layout layout;
  if (reactor->dead) return -EOWNERDEAD;
  int result = request_read(request, size, &layout);
  if (result < 0) return result;
  struct child *child = child_enter(reactor);
  if (!child) return -ENOMEM;
  result = launch(reactor, child, &layout, request);
  if (result < 0) {
    far_close(child);
    child_drop(reactor, child);
    return result;
  }
  *launched = (struct aiospawn_launched){
      .token = child->token, .pid = child->pid, .pidfd = child->sources[WATCHED_PIDFD].fd};
  return 0;
}
