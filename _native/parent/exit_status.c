#include "exit_status.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "aiospawn.h"
#include "child/sys.h"
#include "features.h"

/* <linux/pidfd.h> as of Linux 6.15, younger than the headers this builds with. */
struct pidfd_info_v0 {
  uint64_t mask, cgroup;
  uint32_t ids[11];
  int32_t exit_code;
};
#define GET_INFO _IOWR(0xFF, 11, struct pidfd_info_v0)
#define INFO_EXIT 8

enum { ID_PIDFD = 3, EVERY_KIND = 0x40000000 /* __WALL: one that sends no signal at its end is no child without */ };

int exit_status_of(int pidfd, int flags, int *status, struct usage *usage) {
  siginfo_t info;
  memset(&info, 0, sizeof info);
  long result;
  do result = sys5(SYS_waitid, ID_PIDFD, pidfd, (long)&info, flags | EVERY_KIND, (long)usage);
  while (result == -EINTR);
  if (result < 0) return (int)result;
  if (info.si_pid == 0) return 0;
  *status = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
  return 1;
}

int exit_status_of_reaped(int pidfd, int *status) {
  struct pidfd_info_v0 info = {.mask = INFO_EXIT};
  /* The kernel looks for the status, then for the process: one that is reaped in between it does not find, but once. */
  if (ioctl(pidfd, GET_INFO, &info) == -1 && (errno != ESRCH || ioctl(pidfd, GET_INFO, &info) == -1)) return -errno;
  if (!(info.mask & INFO_EXIT)) return -EAGAIN;
  *status = WIFSIGNALED(info.exit_code) ? -WTERMSIG(info.exit_code) : WEXITSTATUS(info.exit_code);
  return 1;
}

int exit_status_await(int pidfd, int *status) {
  int result;
  while ((result = exit_status_of_reaped(pidfd, status)) == -EAGAIN) sched_yield();
  return result;
}

int exit_status_recover(int pidfd, int *status) {
  return features_found() & AIOSPAWN_HAS_PIDFD_INFO ? exit_status_of_reaped(pidfd, status) : -ENOSYS;
}
