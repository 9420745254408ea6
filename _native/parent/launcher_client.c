#include "launcher_client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "descriptor.h"
#include "features.h"
#include "init_client.h"
#include "launcher/init.h"
#include "launcher/launcher.h"
#include "launcher_program.h"
#include "state_lock.h"

/* All signals are blocked round a clone: this one would come when they no longer are. */
static void drop_pending(int signal) {
  static const struct timespec now = {0, 0};
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  sigtimedwait(&set, NULL, &now);
}

/* Small requests go through a pipe, which costs half of a file in memory. What the reader gets is what was written
 * in either case: the file's offset is not moved. */
static int request_open(size_t size, struct iovec *parts, int count, const struct launch *launch, int32_t *reader) {
  int ends[2] = {-1, -1}, error = 0;
  ssize_t written;
  state_lock(); /* so that a fork finds the reader in the table */
  if (size > LAUNCHER_BUFFER) ends[0] = (int)syscall(SYS_memfd_create, "aiospawn", MFD_CLOEXEC);
  else if (pipe2(ends, O_CLOEXEC) == -1) ends[0] = -1;
  if (ends[0] == -1) error = -errno;
  if (!error) {
    written = ends[1] == -1 ? pwritev(ends[0], parts, count, 0) : writev(ends[1], parts, count);
    if (written != (ssize_t)size) error = written == -1 ? -errno : -EIO;
  }
  if (ends[1] >= 0) close(ends[1]);
  *reader = ends[0];
  if (!error) error = descriptor_lift_end(reader, launch);
  state_unlock();
  if (error == -EFBIG) drop_pending(SIGXFSZ);
  return error;
}

static enum init_mode init_of(const struct aiospawn_request *head) {
  if (!(head->flags & AIOSPAWN_INIT)) return INIT_NONE;
  if (head->flags & AIOSPAWN_INIT_WAIT) return INIT_WAIT;
  return head->flags & AIOSPAWN_INIT_LEAVE ? INIT_LEAVE : INIT_KILL;
}

/* By a pipe or a file of its own; to init by init's socket, with a file where it is long. */
static int send_request(struct child *child, struct iovec *parts, int count, size_t size, int32_t *reader) {
  const struct launch *launch = &child->stack->launch;
  if (!child->has_init) return request_open(size, parts, count, launch, reader);
  if (size <= LAUNCHER_BUFFER) return init_client_open(child, parts, count, -1, reader);
  int32_t file = -1;
  int error = request_open(size, parts, count, launch, &file);
  if (error == 0) error = init_client_open(child, parts, 1, file, reader);
  state_lock();
  if (file >= 0) close(file);
  state_unlock();
  return error;
}

static int write_request(struct child *child, const struct aiospawn_request *head, int32_t *reader) {
  const struct launch *launch = &child->stack->launch;
  const struct aiospawn_step *steps = launch->steps + head->prelude;
  const char *candidates = launch->candidates[0], *arguments = launch->arguments[0];
  size_t steps_size = (head->steps - head->prelude) * sizeof *steps;
  size_t candidates_size = head->candidates ? (size_t)(arguments - candidates) : 0;
  struct launcher_request request = {
      .version = LAUNCHER_VERSION,
      .steps = head->steps - head->prelude,
      .steps_at = sizeof request,
      .data_at = (uint32_t)(sizeof request + steps_size),
      .candidates = head->candidates,
      .candidates_at = (uint32_t)(sizeof request + steps_size + head->data_size),
      .size = (uint32_t)(sizeof request + steps_size + head->data_size + candidates_size),
      .first_index = head->prelude,
      .top = head->top,
      .program = head->program,
      .has_close_range = (uint32_t)launch->has_close_range,
      .init = (uint8_t)init_of(head),
      .has_namespace = (head->flags & AIOSPAWN_INIT_NAMESPACE) != 0,
      .has_cgroup = (head->flags & AIOSPAWN_INIT_CGROUP) != 0,
      .lists_children = (features_found() & AIOSPAWN_HAS_PROC_CHILDREN) != 0,
      .lease_ms = head->lease_ms,
      .mask = launch->mask,
  };
  struct iovec parts[] = {
      {&request, sizeof request},
      {(void *)steps, steps_size},
      {(void *)launch->data, head->data_size},
      {(void *)candidates, candidates_size},
  };
  return send_request(child, parts, 4, request.size, reader);
}

int launcher_prepare(struct child *child, const struct aiospawn_request *head, int32_t *reader) {
  struct launch *launch = &child->stack->launch;
  if (!launch->arguments[0]) return -EINVAL;
  int error = write_request(child, head, reader);
  if (error < 0) return error;
  launch->arguments[-1] = launch->numbers; /* the NULL behind the candidates, which are in the request now */
  launch->arguments--;
  launch->ends[AIOSPAWN_END_REQUEST] = *reader;
  launch->step_count = head->prelude;
  launch->program = launcher_program();
  launch->execve_kind = AIOSPAWN_STEP_LAUNCHER;
  launch->mask = ~(uint64_t)0;
  return 0;
}

void launcher_write_ends(struct launch *launch, int stays) {
  const int *ends = launch->ends;
  snprintf(launch->numbers, sizeof launch->numbers, "%d %d %d %d %d%s", ends[0], ends[1], ends[2], ends[AIOSPAWN_END_STATUS],
           ends[AIOSPAWN_END_REQUEST], stays ? " i" : "");
}
