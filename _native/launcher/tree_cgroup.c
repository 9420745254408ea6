/* Compiled like init.c, a part of the launcher only. */
#include "tree_cgroup.h"

#include <fcntl.h>
#include <string.h>

#include "child/steps.h"

/* The directory of the tree's own cgroup is what the step writes to, without "/cgroup.procs". */
void tree_cgroup_take(struct tree_cgroup *cgroup, const struct launch *launch) {
  static const char file[] = "cgroup.kill";
  for (uint32_t i = 0; i < launch->step_count; i++) {
    const struct aiospawn_step *step = launch->steps + i;
    if (step->kind != AIOSPAWN_STEP_CGROUP || step->size < sizeof "/cgroup.procs" || step->size > CGROUP_PATH) continue;
    uint32_t length = step->size - (uint32_t)sizeof "/cgroup.procs";
    memcpy(cgroup->path, launch->data + step->data, length);
    cgroup->path[length] = '/';
    memcpy(cgroup->path + length + 1, file, sizeof file);
    long fd = sys4(SYS_openat, AT_FDCWD, (long)cgroup->path, O_WRONLY | O_CLOEXEC, 0);
    cgroup->killer = fd < 0 ? -1 : (int)fd;
    cgroup->path[length] = 0;
  }
}

void tree_cgroup_kill(const struct tree_cgroup *cgroup) {
  if (cgroup->killer >= 0) sys3(SYS_write, cgroup->killer, (long)"1", 1);
}

/* On Linux 6.19 a process that has been waited for counts there until the scheduler has left it (EBUSY); on later kernels rmdir()
 * waits for that itself. */
void tree_cgroup_remove(const struct tree_cgroup *cgroup) {
  enum { BUSY = -16 /* EBUSY */, LONGEST_REST_MS = 512 };
  if (!*cgroup->path) return;
  for (int ms = 1; sys3(SYS_unlinkat, AT_FDCWD, (long)cgroup->path, AT_REMOVEDIR) == BUSY && ms <= LONGEST_REST_MS; ms *= 2) {
    const int64_t rest[2] = {0, (int64_t)ms * 1000000};
    sys5(SYS_ppoll, 0, 0, (long)rest, 0, 0);
  }
}
