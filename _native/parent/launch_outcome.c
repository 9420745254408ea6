#include "launch_outcome.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exit_status.h"
#include "launcher/launcher.h"
#include "pipe_events.h"

enum { FORKED_NO_EXEC = 0x40 }; /* PF_FORKNOEXEC of <linux/sched.h> */

/* ---- the process ----------------------------------------------------------------------------------------------------- */

static int gone(const struct child *child) {
  int32_t word = 0;
  struct iovec here = {&word, sizeof word}, there = {&word, sizeof word};
  return process_vm_readv(child->pid, &here, 1, &there, 1, 0) == -1 && errno == ESRCH;
}

/* Is this child, running or not yet reaped, what was cloned, or the launcher of that name, and not its program? A negated errno
 * where it cannot be found out: /proc may not be mounted. */
static int is_before_exec(int pid, const char *launcher) {
  char path[32], line[512];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd == -1) return -errno;
  ssize_t length = read(fd, line, sizeof line - 1);
  close(fd);
  if (length <= 0) return -ESRCH;
  line[length] = 0;
  char *after_name = strrchr(line, ')'); /* the name may hold anything */
  char *name = strchr(line, '(');
  unsigned flags = 0;
  if (launcher && name && after_name && (size_t)(after_name - name - 1) == strlen(launcher) &&
      memcmp(name + 1, launcher, strlen(launcher)) == 0)
    return 1;
  if (!after_name || sscanf(after_name + 1, " %*c %*d %*d %*d %*d %*d %u", &flags) != 1) return -ENODATA;
  return (flags & FORKED_NO_EXEC) != 0;
}

static int before_exec(const struct child *child) {
  return is_before_exec(child->pid, child->via_launcher ? LAUNCHER_NAME : NULL);
}

enum outcome { NOT_YET, RAN, NEVER_RAN };

/* What the exit of a child shows of its launch. */
static enum outcome outcome_of(const struct child *child) {
  int status = 0, result = exit_status_of(child->watched[WATCHED_PIDFD].fd, WEXITED | WNOHANG | WNOWAIT, &status, NULL);
  if (result == 0) return NOT_YET;
  if (child->via_launcher && !child->launcher_alive) return NEVER_RAN;
  if (result < 0) return RAN;
  return status < 0 && before_exec(child) == 1 ? NEVER_RAN : RAN;
}

int launch_outcome_never_ran(const struct child *child) { return outcome_of(child) == NEVER_RAN; }

/* ---- the status pipe ------------------------------------------------------------------------------------------------- */

void launch_outcome_started(struct wakeup *wakeup, struct child *child) {
  child->state = STARTED;
  child_leave_memory(child);
  if (!child->collected) wakeup_add(wakeup, child, AIOSPAWN_STARTED, 0);
  for (int stream = 0; stream < AIOSPAWN_STREAMS; stream++) pipe_unpark(wakeup, &child->watched[stream]);
}

/* The status pipe has ended, or cannot matter any more. Without a memory it is dead, or a program whose first thread is; a
 * launcher that never reported is dead, though it may not have exited yet, nor have its name. */
static void status_ended(struct wakeup *wakeup, struct child *child) {
  child->state = UNSURE;
  if (child->via_launcher && !child->launcher_alive) return;
  enum outcome outcome = gone(child) ? outcome_of(child) : RAN;
  if (outcome == RAN || (outcome == NOT_YET && before_exec(child) == 0)) launch_outcome_started(wakeup, child);
}

/* What is read in one go: up to two words of a byte ("l": the child has left our descriptor table; "a": the launcher is alive),
 * then a record where the program never runs. */
static ssize_t read_status(const struct child *child, unsigned char *bytes, size_t size) {
  ssize_t length;
  do length = read(child->watched[WATCHED_STATUS].fd, bytes, size);
  while (length == -1 && errno == EINTR);
  return length;
}

void launch_outcome_read(struct wakeup *wakeup, struct child *child, int ended) {
  struct watched_fd *status = &child->watched[WATCHED_STATUS];
  unsigned char bytes[2 + sizeof child->failure];
  ssize_t length = read_status(child, bytes, sizeof bytes);
  if (length == -1) return;
  size_t record = (size_t)length >= sizeof child->failure ? sizeof child->failure : 0, words = (size_t)length - record;
  child_leave_table(child);
  if (memchr(bytes, 'a', words)) {
    child->launcher_alive = 1;
    child_leave_memory(child);
  }
  if (words && !record && !ended) {
    if (child->via_launcher) watched_fd_set(status, 0); /* not woken for the "a" behind an "l" */
    return;
  }
  child_shut(status);
  if (!record) {
    status_ended(wakeup, child);
    return;
  }
  memcpy(&child->failure, bytes + words, sizeof child->failure);
  child->state = FAILING; /* reported when it is reaped */
}

/* Its exit, where that is there, tells the outcome as well; but the end of a pipe must come behind the start. */
void launch_outcome_left(struct wakeup *wakeup, struct child *child) {
  if (child->exits && !child_has_pipes(child)) return;
  launch_outcome_look(wakeup, child, 0);
  if (child->state == UNSURE) status_ended(wakeup, child);
}

/* Has it executed the program, as far as that can be found out without the status pipe? */
static int has_executed(const struct child *child) {
  if (child->has_init) return 0; /* nothing here reports init's child */
  if (child->via_launcher) return child->launcher_alive && before_exec(child) == 0;
  if (child->private_memory) return before_exec(child) == 0;
  return !__atomic_load_n(&child->stack->launch.alive, __ATOMIC_ACQUIRE);
}

void launch_outcome_look(struct wakeup *wakeup, struct child *child, int ended) {
  if (child->state != LAUNCHING) return;
  if (child->by_memory) {
    child_look_at_memory(child, ended);
    if (!child->collected && !ended && child->state == UNSURE) status_ended(wakeup, child);
    return;
  }
  launch_outcome_read(wakeup, child, 0);
  if (child->state != LAUNCHING || !has_executed(child)) return;
  child_shut(&child->watched[WATCHED_STATUS]);
  status_ended(wakeup, child);
}
