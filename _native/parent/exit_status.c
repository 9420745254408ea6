#include "exit_status.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aiospawn.h"
#include "features.h"
#include "child/sys.h"

/* <linux/pidfd.h> as of Linux 6.15, younger than the headers this builds with. */
struct pidfd_info_v0 {
  uint64_t mask, cgroup;
  uint32_t ids[11];
  int32_t exit_code;
};
#define GET_INFO _IOWR(0xFF, 11, struct pidfd_info_v0)
#define INFO_EXIT 8

enum { ID_PIDFD = 3, FORKED_NO_EXEC = 0x40 /* PF_FORKNOEXEC of <linux/sched.h> */ };

int status_of(int pidfd, int flags, int *status, struct rusage *usage) {
  siginfo_t info;
  memset(&info, 0, sizeof info);
  long result;
  do result = sys5(SYS_waitid, ID_PIDFD, pidfd, (long)&info, flags, (long)usage);
  while (result == -EINTR);
  if (result < 0) return (int)result;
  if (info.si_pid == 0) return 0;
  *status = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
  return 1;
}

int status_of_reaped(int pidfd, int *status) {
  struct pidfd_info_v0 info = {.mask = INFO_EXIT};
  /* The kernel looks for the status, then for the process: one that is reaped in between it does not find, but once. */
  if (ioctl(pidfd, GET_INFO, &info) == -1 && (errno != ESRCH || ioctl(pidfd, GET_INFO, &info) == -1)) return -errno;
  if (!(info.mask & INFO_EXIT)) return -EAGAIN;
  *status = WIFSIGNALED(info.exit_code) ? -WTERMSIG(info.exit_code) : WEXITSTATUS(info.exit_code);
  return 1;
}

int status_of_reaped_soon(int pidfd, int *status) {
  int result;
  while ((result = status_of_reaped(pidfd, status)) == -EAGAIN) sched_yield();
  return result;
}

int status_recovered(int pidfd, int *status) {
  return features_found() & AIOSPAWN_HAS_PIDFD_INFO ? status_of_reaped(pidfd, status) : -ENOSYS;
}

int is_before_exec(int pid, const char *launcher) {
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
