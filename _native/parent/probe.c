/* What the kernel offers, found out once by launching a child that does nothing.
 *
 *   clone(CLONE_PIDFD)             5.2     waitid(P_PIDFD)                5.4
 *   pidfd_send_signal              5.1     epoll on a pidfd               5.3
 *   clone3                         5.3     CLONE_CLEAR_SIGHAND            5.5
 *   close_range                    5.9     PIDFD_GET_INFO, exit code      6.15
 *   CLONE_PIDFD_AUTOKILL           7.1
 *
 * Containers and emulators refuse or imitate single calls, so the version proves little: each is tried. The child is made
 * with CLONE_VFORK, because an emulator that runs CLONE_VM as a thread would let it run beside us on our memory. Where it would
 * be the first process of a new PID namespace, and its end the end of that, this process is looked at instead.
 */
#include "probe.h"

#include <errno.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aiospawn.h"
#include "child/clone.h"
#include "child/sys.h"
#include "exit_status.h"
#include "features.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct trial {
  volatile int32_t memory_is_shared;
  volatile int32_t has_close_range;
};

/* In the child, under the contract of child/child.c. close_range is tried here: it must not touch the parent's table. */
static void try_in_child(void *argument) {
  struct trial *trial = argument;
  trial->memory_is_shared = 1;
  trial->has_close_range = sys3(SYS_close_range, ~0u, ~0u, 0) == 0;
  for (;;) sys1(SYS_exit_group, 0);
}

int is_shortage(long error) { return error == -EMFILE || error == -ENFILE || error == -EAGAIN || error == -ENOMEM; }

/* Does epoll take the descriptor, and report it ready, or not? -1: it could not be tried. */
static int epoll_takes(int fd, int ready) {
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll == -1) return is_shortage(-errno) ? -1 : 0;
  struct epoll_event event = {.events = EPOLLIN};
  int taken = epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0 && epoll_wait(epoll, &event, 1, 0) == ready;
  close(epoll);
  return taken;
}

long run_suspended(void (*run)(void *), void *argument, uint64_t namespaces, int use_clone3, int *pidfd) {
  enum { STACK = 64 * 1024 };
  int32_t alive = 0;
  unsigned char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (stack == MAP_FAILED) return -errno;
  *pidfd = -1;
  struct clone_plan plan = {
      .flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | namespaces,
      .use_clone3 = use_clone3,
      .stack = stack,
      .stack_size = STACK,
      .pidfd = pidfd,
      .alive = &alive,
  };
  uint64_t all = ~(uint64_t)0, mask = 0;
  long pid = sys_sigmask(&all, &mask);
  if (pid == 0) {
    pid = child_clone(&plan, run, argument);
    sys_sigmask(&mask, NULL);
  }
  munmap(stack, STACK);
  return pid;
}

static uint32_t examine(int pid, int pidfd, const struct trial *trial, int valgrind) {
  uint32_t found = 0;
  int status;
  if (pidfd < 0) { /* a kernel that does not know the flag leaves the number alone */
    while (waitpid(pid, &status, 0) == -1 && errno == EINTR) {
    }
    return 0;
  }
  /* CLONE_VFORK ends with the child's memory, a moment before its life: only a death that was waited for must be readable. */
  exit_status_of(pidfd, WEXITED | WNOWAIT, &status, NULL);
  int pollable = epoll_takes(pidfd, 1);
  int signalled = sys4(SYS_pidfd_send_signal, pidfd, 0, 0, 0) == 0 || valgrind; /* some do not know the call: signal_child() */
  int reaped = exit_status_of(pidfd, WEXITED, &status, NULL);
  int stolen = reaped == -ECHILD; /* SIGCHLD is ignored, or another thread waits for every child: no fault of the kernel */
  if (reaped < 0 && !stolen)
    while (waitpid(pid, &status, 0) == -1 && errno == EINTR) {
    }
  if (pollable == -1) found |= AIOSPAWN_SHORTAGE;
  if (pollable == 1 && (reaped == 1 || stolen) && (signalled || stolen)) found |= AIOSPAWN_HAS_PIDFD;
  if (exit_status_await(pidfd, &status) == 1) found |= AIOSPAWN_HAS_PIDFD_INFO;
  if (trial->memory_is_shared) found |= AIOSPAWN_HAS_SHARED_MEMORY;
  if (trial->has_close_range) found |= AIOSPAWN_HAS_CLOSE_RANGE;
  close(pidfd);
  return found;
}

/* ---- without a child ----------------------------------------------------------------------------------------------- */

/* After unshare(CLONE_NEWPID), until the first child is made: namespaces(7) says that the link cannot be read before. */
int child_would_be_first(void) {
  char name[64];
  return readlink("/proc/thread-self/ns/pid", name, sizeof name) > 0 &&
         readlink("/proc/thread-self/ns/pid_for_children", name, sizeof name) == -1 && errno == ENOENT;
}

/* CLONE_CLEAR_SIGHAND is as old as the last word here: a kernel that does not know it says E2BIG, the others that no process
 * has numbers in so many namespaces. */
static int knows_clone3(void) {
  enum { NAMESPACES = 33 };
  uint64_t args[10] = {[9] = NAMESPACES};
  return sys2(SYS_clone3, (long)args, sizeof args) == -EINVAL;
}

/* What clone3 says to these flags, and to a pidfd that can be written nowhere: so there is no child, but where an emulator
 * does not look. */
static long refusal_of(uint64_t flags) {
  enum { NOWHERE = 1 };
  uint64_t args[8] = {CLONE_PIDFD | flags, NOWHERE, [4] = flags & CLONE_AUTOREAP ? 0 : SIGCHLD};
  long result = sys2(SYS_clone3, (long)args, sizeof args);
  if (result == 0)
    for (;;) sys1(SYS_exit_group, 0);
  while (result > 0 && waitpid((pid_t)result, NULL, __WALL) == -1 && errno == EINTR) {
  }
  return result;
}

/* Flags are refused first (EINVAL). This one needs another beside it: so no other flag in its place is taken for it. */
static int knows_autokill(void) {
  return refusal_of(CLONE_NNP | CLONE_PIDFD_AUTOKILL) == -EINVAL &&
         refusal_of(CLONE_NNP | CLONE_PIDFD_AUTOKILL | CLONE_AUTOREAP) == -EFAULT;
}

/* This process in the place of a child. That memory is shared is taken for granted, and PIDFD_GET_INFO for missing. */
static uint32_t examine_self(uint32_t without) {
  uint32_t found = AIOSPAWN_HAS_SHARED_MEMORY;
  int status, pidfd = (int)sys2(SYS_pidfd_open, getpid(), 0);
  if (pidfd < 0) return found | (is_shortage(pidfd) ? AIOSPAWN_SHORTAGE : 0);
  int pollable = epoll_takes(pidfd, 0);
  if (pollable == -1) found |= AIOSPAWN_SHORTAGE;
  if (pollable == 1 && exit_status_of(pidfd, WEXITED | WNOHANG, &status, NULL) == -ECHILD &&
      sys4(SYS_pidfd_send_signal, pidfd, 0, 0, 0) == 0)
    found |= AIOSPAWN_HAS_PIDFD;
  if (AIOSPAWN_STUB && !(without & AIOSPAWN_HAS_CLONE3) && knows_clone3()) found |= AIOSPAWN_HAS_CLONE3;
  if (sys3(SYS_close_range, ~0u, ~0u, 0) == 0) found |= AIOSPAWN_HAS_CLOSE_RANGE;
  close(pidfd);
  return found;
}

/* ---- once ---------------------------------------------------------------------------------------------------------- */

static int under_valgrind(void) {
  const char *preload = getenv("LD_PRELOAD");
  return preload && strstr(preload, "vgpreload");
}

static uint32_t probe(uint32_t without) {
  uint32_t found = AIOSPAWN_STUB ? AIOSPAWN_HAS_STUB : 0;
  if (under_valgrind()) found |= AIOSPAWN_UNDER_VALGRIND;
  if (access("/proc/thread-self/children", R_OK) == 0) found |= AIOSPAWN_HAS_PROC_CHILDREN;
  if (AIOSPAWN_STUB && !(without & AIOSPAWN_HAS_CLONE3) && knows_autokill()) found |= AIOSPAWN_HAS_PIDFD_AUTOKILL;
  if (child_would_be_first()) return (found | examine_self(without)) & ~without;
  struct trial trial = {0};
  int pidfd = -1;
  int use_clone3 = AIOSPAWN_STUB && !(without & AIOSPAWN_HAS_CLONE3);
  long pid = run_suspended(try_in_child, &trial, 0, use_clone3, &pidfd);
  if (pid >= 0 && use_clone3) found |= AIOSPAWN_HAS_CLONE3;
  /* ENOSYS, EPERM by a seccomp filter, EINVAL for a flag: the older call may be there. */
  if (pid < 0 && use_clone3) pid = run_suspended(try_in_child, &trial, 0, 0, &pidfd);
  if (pid >= 0) found |= examine((int)pid, pidfd, &trial, (found & AIOSPAWN_UNDER_VALGRIND) != 0);
  if (is_shortage(pid)) found |= AIOSPAWN_SHORTAGE;
  return found & ~without;
}

uint32_t aiospawn_probe(uint32_t without) {
  static int done;
  pthread_mutex_lock(&lock);
  if (!done) {
    uint32_t found = probe(without);
    done = !(found & AIOSPAWN_SHORTAGE);
    features_set(found);
  }
  pthread_mutex_unlock(&lock);
  return features_found();
}
