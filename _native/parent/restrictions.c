#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aiospawn.h"
#include "child/steps.h"
#include "child/sys.h"
#include "exit_status.h"
#include "features.h"
#include "privileges.h"
#include "probe.h"

/* The numbers are the same on every processor (landlock(7)), and newer than some C libraries. */
enum { CREATE_RULESET = 444, ADD_RULE = 445 };
enum { ASK_VERSION = 1 };
enum { RULE_PATH = 1, RULE_PORT = 2 };
enum { SET_FILTER = 1, ACTION_AVAILABLE = 2 };
enum { NEW_LISTENER = 8, WAIT_KILLABLE_RECV = 32 };
enum { PIDFD_OPEN = 434, PIDFD_GETFD = 438 };

int aiospawn_landlock_abi(void) {
  long abi = sys3(CREATE_RULESET, 0, 0, ASK_VERSION);
  return abi < 0 ? 0 : (int)abi;
}

int aiospawn_landlock_ruleset(uint64_t files, uint64_t ports, uint64_t scopes) {
  struct {
    uint64_t files, ports, scopes;
  } handled = {files, ports, scopes}; /* an older kernel takes the longer structure if what it does not know is zero */
  return (int)sys3(CREATE_RULESET, (long)&handled, sizeof handled, 0);
}

int aiospawn_landlock_allow_path(int ruleset, int fd, uint64_t access) {
  struct {
    uint64_t access;
    int32_t fd;
  } __attribute__((packed)) rule = {access, fd};
  return (int)sys4(ADD_RULE, ruleset, RULE_PATH, (long)&rule, 0);
}

int aiospawn_landlock_allow_port(int ruleset, uint64_t port, uint64_t access) {
  struct {
    uint64_t access, port;
  } rule = {access, port};
  return (int)sys4(ADD_RULE, ruleset, RULE_PORT, (long)&rule, 0);
}

int aiospawn_seccomp_filters(void) {
  uint32_t action = 0x00050000; /* SECCOMP_RET_ERRNO */
  return sys3(SYS_seccomp, ACTION_AVAILABLE, 0, (long)&action) == 0;
}

int aiospawn_seccomp_listener(const void *instructions, uint16_t count) {
  struct {
    uint16_t count;
    const void *instructions;
  } program = {count, instructions};
  long error = sys5(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (error) return (int)error;
  long fd = sys3(SYS_seccomp, SET_FILTER, NEW_LISTENER | WAIT_KILLABLE_RECV, (long)&program);
  if (fd == -EINVAL) fd = sys3(SYS_seccomp, SET_FILTER, NEW_LISTENER, (long)&program); /* before Linux 5.19 */
  return (int)fd;
}

int aiospawn_seccomp_listeners(void) {
  uint32_t action = 0x7fc00000; /* SECCOMP_RET_USER_NOTIF */
  return sys3(SYS_seccomp, ACTION_AVAILABLE, 0, (long)&action) == 0 && sys3(PIDFD_GETFD, -1, -1, 0) == -EBADF;
}

int aiospawn_descriptor_of(int pid, int fd) {
  long pidfd = sys2(PIDFD_OPEN, pid, 0);
  if (pidfd < 0) return (int)pidfd;
  long copy = sys3(PIDFD_GETFD, pidfd, fd, 0);
  sys1(SYS_close, pidfd);
  return (int)copy;
}

static void try_view(void *argument) {
  (void)argument;
  for (;;) sys1(SYS_exit_group, !view_try());
}

int aiospawn_views(void) {
  static int answer = -1;
  int status = 1, pidfd;
  int known = __atomic_load_n(&answer, __ATOMIC_ACQUIRE);
  if (known >= 0) return known;
  if (child_would_be_first()) return 0;
  uint64_t namespaces = CLONE_NEWPID | (privileges_make_namespaces() ? 0 : CLONE_NEWUSER);
  long pid = run_suspended(try_view, NULL, namespaces, (features_found() & AIOSPAWN_HAS_CLONE3) != 0, &pidfd);
  if (is_shortage(pid)) return 0;
  if (pid >= 0) {
    if (exit_status_of(pidfd, WEXITED, &status, NULL) == -ECHILD) exit_status_await(pidfd, &status);
    close(pidfd);
  }
  known = pid >= 0 && status == 0;
  __atomic_store_n(&answer, known, __ATOMIC_RELEASE);
  return known;
}

/* The table of descriptors is shared: what the child opens is ours. */
static void open_network(void *fd) {
  *(long *)fd = sys4(SYS_openat, AT_FDCWD, (long)"/proc/self/ns/net", O_RDONLY | O_CLOEXEC, 0);
  for (;;) sys1(SYS_exit_group, 0);
}

int aiospawn_empty_network(void) {
  long fd = -ECANCELED;
  int status, pidfd;
  if (child_would_be_first()) return -EBUSY;
  long pid = run_suspended(open_network, &fd, CLONE_NEWNET | CLONE_FILES, (features_found() & AIOSPAWN_HAS_CLONE3) != 0, &pidfd);
  if (pid < 0) return (int)pid;
  if (exit_status_of(pidfd, WEXITED, &status, NULL) == -ECHILD) exit_status_await(pidfd, &status);
  close(pidfd);
  return (int)fd;
}

int aiospawn_may_make_namespaces(void) { return privileges_make_namespaces(); }

int aiospawn_may_drop_bounding(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{0}};
  return sys2(SYS_capget, (long)&header, (long)data) == 0 && (data[0].effective & 1U << CAP_SETPCAP) != 0;
}
