/* Compiled like init.c, a part of the launcher only. */
#include "tree_cgroup.h"

#include <fcntl.h>
#include <string.h>

#include "child/steps.h"

enum { ON_ITS_WAY = 0x200000 /* O_PATH, which <fcntl.h> has with _GNU_SOURCE only */ };

/* ---- where it is -------------------------------------------------------------------------------------------------------- */

/* What a step refers to before any step was taken: a register will hold what is set aside into it. */
static int descriptor_of(const struct launch *launch, int operand) {
  if (operand >= 0) return operand;
  for (uint32_t i = 0; i < launch->step_count; i++) {
    const struct aiospawn_step *step = launch->steps + i;
    if (step->kind == AIOSPAWN_STEP_SAVE && step->value == AIOSPAWN_REGISTER - operand) return step->fd;
  }
  return -1;
}

/* The name must leave room for its files'. */
long tree_cgroup_take(struct tree_cgroup *cgroup, const struct launch *launch) {
  static const char longest[] = "/cgroup.kill";
  for (uint32_t i = 0; i < launch->step_count; i++) {
    const struct aiospawn_step *step = launch->steps + i;
    if (step->kind != AIOSPAWN_STEP_CGROUP || !step->value || !step->size) continue;
    if (step->size > CGROUP_PATH - sizeof longest) return -36 /* ENAMETOOLONG */;
    memcpy(cgroup->name, launch->data + step->data, step->size);
    int directory = descriptor_of(launch, step->fd);
    long above = sys4(SYS_openat, directory, (long)"..", ON_ITS_WAY | O_DIRECTORY | O_CLOEXEC, 0);
    if (above < 0) return above;
    long events = sys4(SYS_openat, directory, (long)"memory.events", O_RDONLY | O_CLOEXEC, 0);
    cgroup->above = (int)above;
    cgroup->events = events < 0 ? -1 : (int)events;
  }
  return 0;
}

static long open_file(const struct tree_cgroup *cgroup, const char *file, int flags) {
  char path[CGROUP_PATH];
  int length = 0;
  while (cgroup->name[length]) {
    path[length] = cgroup->name[length];
    length++;
  }
  path[length++] = '/';
  do path[length++] = *file;
  while (*file++);
  return sys4(SYS_openat, cgroup->above, (long)path, flags | O_CLOEXEC, 0);
}

/* ---- what it has counted --------------------------------------------------------------------------------------------------- */

/* The number behind a word that begins a line; 0 without such a line. */
static int64_t counted(const char *text, const char *word) {
  for (const char *at = text; *at;) {
    int length = 0;
    while (word[length] && at[length] == word[length]) length++;
    if (!word[length] && at[length] == ' ') {
      int64_t number = 0;
      for (at += length + 1; *at >= '0' && *at <= '9'; at++) number = number * 10 + (*at - '0');
      return number;
    }
    while (*at && *at++ != '\n') {
    }
  }
  return 0;
}

static int64_t counted_in(int fd, const char *word) {
  char text[2048];
  long length = sys4(SYS_pread64, fd, (long)text, sizeof text - 1, 0);
  if (length <= 0) return 0;
  text[length] = 0;
  return counted(text, word);
}

/* oom_kill alone counts what a shortage of the whole machine has killed, too; oom is about a limit of this cgroup's or below. */
int tree_cgroup_is_out_of_memory(const struct tree_cgroup *cgroup) {
  return cgroup->events >= 0 && counted_in(cgroup->events, "oom_kill") && counted_in(cgroup->events, "oom");
}

int64_t tree_cgroup_time(const struct tree_cgroup *cgroup) {
  if (cgroup->above < 0) return 0;
  long fd = open_file(cgroup, "cpu.stat", O_RDONLY);
  if (fd < 0) return 0;
  int64_t time = counted_in((int)fd, "usage_usec") / 1000;
  sys1(SYS_close, fd);
  return time;
}

/* ---- its end ---------------------------------------------------------------------------------------------------------------- */

void tree_cgroup_kill(const struct tree_cgroup *cgroup) {
  if (cgroup->above < 0) return;
  long fd = open_file(cgroup, "cgroup.kill", O_WRONLY);
  if (fd < 0) return;
  sys3(SYS_write, fd, (long)"1", 1);
  sys1(SYS_close, fd);
}

/* On Linux 6.19 a process that has been waited for counts there until the scheduler has left it (EBUSY); on later kernels rmdir()
 * waits for that itself. */
void tree_cgroup_remove(const struct tree_cgroup *cgroup) {
  enum { BUSY = -16 /* EBUSY */, LONGEST_REST_MS = 512 };
  if (cgroup->above < 0) return;
  for (int ms = 1; sys3(SYS_unlinkat, cgroup->above, (long)cgroup->name, AT_REMOVEDIR) == BUSY && ms <= LONGEST_REST_MS; ms *= 2) {
    const int64_t rest[2] = {0, (int64_t)ms * 1000000};
    sys5(SYS_ppoll, 0, 0, (long)rest, 0, 0);
  }
}
