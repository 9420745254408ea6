#include "launcher_program.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "aiospawn.h"
#include "child/sys.h"
#include "descriptor.h"
#include "exit_status.h"
#include "features.h"
#include "launcher/launcher.h"
#include "probe.h"

static int program = -1;
static struct stat identity;

int launcher_program(void) { return program; }

int aiospawn_launcher_open(const char *path) {
  if (getxattr(path, "security.capability", NULL, 0) >= 0) return -EPERM;
  program = open(path, O_PATH | O_CLOEXEC);
  if (program == -1) return -errno;
  int error = descriptor_lift(&program, 3);
  if (error == 0 && fstat(program, &identity) == -1) error = -errno;
  return error;
}

/* Programs close descriptors that they do not know: the number may mean another file by now. One with more rights
 * than its user (a mode bit, as capabilities above) would give them to the steps. -errno where it cannot be looked at. */
static int is_still_ours(void) {
  struct stat now;
  if (program < 0) return 0;
  if (fstat(program, &now) == -1) return errno == EBADF ? 0 : -errno;
  return now.st_dev == identity.st_dev && now.st_ino == identity.st_ino && !(now.st_mode & (S_ISUID | S_ISGID));
}

static void try_launcher(void *argument) {
  static const char *const question[] = {"?", NULL}, *const nothing[] = {NULL};
  sys5(SYS_execveat, *(int *)argument, (long)"", (long)question, (long)nothing, AT_EMPTY_PATH);
  for (;;) sys1(SYS_exit_group, 127);
}

/* A noexec mount, a lost bit, a seccomp filter: tried, in a suspended child as in probe.c. -errno: a shortage. */
static int answers(void) {
  int pidfd, status = -1;
  long pid = run_suspended(try_launcher, &program, 0, (features_found() & AIOSPAWN_HAS_CLONE3) != 0, &pidfd);
  if (pid < 0) return is_shortage(pid) ? (int)pid : 0;
  if (exit_status_of(pidfd, WEXITED, &status, NULL) == -ECHILD) exit_status_await(pidfd, &status);
  close(pidfd);
  return status == LAUNCHER_ANSWER;
}

/* No lock: a fork elsewhere would copy it as it is held. Two threads may ask at the same time, and get the same answer. */
int launcher_state(void) {
  static int known = -1;
  int ours = is_still_ours();
  if (ours <= 0) return ours;
  int answer = __atomic_load_n(&known, __ATOMIC_ACQUIRE);
  if (answer >= 0) return answer;
  if (child_would_be_first()) return 0;
  answer = answers();
  if (answer >= 0) __atomic_store_n(&known, answer, __ATOMIC_RELEASE);
  return answer;
}

int aiospawn_launcher_usable(void) { return launcher_state() == 1; }
