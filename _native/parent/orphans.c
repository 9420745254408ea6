#include "orphans.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aiospawn.h"
#include "lock.h"
#include "child/sys.h"

struct left {
  struct left *next;
  int32_t pid, pidfd;
  dev_t device;                    /* of the pidfd: unique since Linux 6.9, that of every anonymous inode before */
  ino_t inode;
};

static struct left *first, *last;  /* guarded by the state lock */

static void append(struct left *left) {
  left->next = NULL;
  if (last) last->next = left;
  else __atomic_store_n(&first, left, __ATOMIC_RELAXED);
  last = left;
}

static struct left *take_first(void) {
  struct left *left = first;
  __atomic_store_n(&first, left->next, __ATOMIC_RELAXED);
  if (!first) last = NULL;
  return left;
}

void left_keep(int pid, int pidfd) {
  struct stat about;
  struct left *left = malloc(sizeof *left);
  if (!left || fstat(pidfd, &about) == -1) {
    free(left);
    close(pidfd);
    return;
  }
  *left = (struct left){.pid = pid, .pidfd = pidfd, .device = about.st_dev, .inode = about.st_ino};
  append(left);
}

/* Programs close descriptors that they do not know: the number may mean another file by now. */
static int is_still_ours(const struct left *left) {
  struct stat now;
  return fstat(left->pidfd, &now) == 0 && now.st_dev == left->device && now.st_ino == left->inode;
}

static long look(const struct left *left, int flags, siginfo_t *info) {
  enum { BY_PIDFD = 3 };           /* P_PIDFD, which older headers lack */
  info->si_pid = 0;
  return sys5(SYS_waitid, BY_PIDFD, left->pidfd, (long)info, WEXITED | WNOHANG | flags, 0);
}

static void forget(struct left *left, int closes) {
  if (closes) close(left->pidfd);
  free(left);
}

/* Reaps it if it has ended. A zombie of this pid is this child: nobody else can have the number before it is reaped. */
static void reap_one(struct left *left) {
  siginfo_t info;
  long result = look(left, WNOWAIT, &info);
  if (result < 0) {                /* somebody else has reaped it, or the number is not a pidfd any more */
    forget(left, result == -ECHILD && is_still_ours(left));
  } else if (info.si_pid == 0) {
    append(left);
  } else if (info.si_pid != left->pid) {
    forget(left, 0);
  } else {
    look(left, 0, &info);
    forget(left, 1);
  }
}

void left_reap(int most) {
  if (!__atomic_load_n(&first, __ATOMIC_RELAXED)) return;
  state_lock();
  const struct left *end = last;
  while (first && most-- > 0) {
    struct left *left = take_first();
    int is_end = left == end;
    reap_one(left);
    if (is_end) break;
  }
  state_unlock();
}

void aiospawn_reap_left(void) { left_reap(LEFT_ALL); }

/* Of a pidfd whose process is not a child of this one, waitid says ECHILD. */
void left_let_go(void) {
  while (first) {
    struct left *left = take_first();
    siginfo_t info;
    forget(left, is_still_ours(left) && look(left, WNOWAIT, &info) == -ECHILD);
  }
}
