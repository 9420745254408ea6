#include "orphans.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aiospawn.h"
#include "child/sys.h"
#include "state_lock.h"

struct orphan {
  struct orphan *next;
  int32_t pid, pidfd;
  dev_t device;                    /* of the pidfd: unique since Linux 6.9, that of every anonymous inode before */
  ino_t inode;
};

static struct orphan *first, *last;  /* guarded by the state lock */

static void append(struct orphan *orphan) {
  orphan->next = NULL;
  if (last) last->next = orphan;
  else __atomic_store_n(&first, orphan, __ATOMIC_RELAXED);
  last = orphan;
}

static struct orphan *take_first(void) {
  struct orphan *orphan = first;
  __atomic_store_n(&first, orphan->next, __ATOMIC_RELAXED);
  if (!first) last = NULL;
  return orphan;
}

void orphans_keep(int pid, int pidfd) {
  struct stat about;
  struct orphan *orphan = malloc(sizeof *orphan);
  if (!orphan || fstat(pidfd, &about) == -1) {
    free(orphan);
    close(pidfd);
    return;
  }
  *orphan = (struct orphan){.pid = pid, .pidfd = pidfd, .device = about.st_dev, .inode = about.st_ino};
  append(orphan);
}

/* Programs close descriptors that they do not know: the number may mean another file by now. */
static int is_still_ours(const struct orphan *orphan) {
  struct stat now;
  return fstat(orphan->pidfd, &now) == 0 && now.st_dev == orphan->device && now.st_ino == orphan->inode;
}

static long look(const struct orphan *orphan, int flags, siginfo_t *info) {
  enum { BY_PIDFD = 3, EVERY_KIND = 0x40000000 }; /* P_PIDFD, which older headers lack; __WALL */
  info->si_pid = 0;
  return sys5(SYS_waitid, BY_PIDFD, orphan->pidfd, (long)info, WEXITED | WNOHANG | EVERY_KIND | flags, 0);
}

static void forget(struct orphan *orphan, int closes) {
  if (closes) close(orphan->pidfd);
  free(orphan);
}

/* Reaps it if it has ended. A zombie of this pid is this child: no other process can have the number before it is reaped. */
static void reap_one(struct orphan *orphan) {
  siginfo_t info;
  long result = look(orphan, WNOWAIT, &info);
  if (result < 0) {                /* it was reaped elsewhere, or the number is not a pidfd any more */
    forget(orphan, result == -ECHILD && is_still_ours(orphan));
  } else if (info.si_pid == 0) {
    append(orphan);
  } else if (info.si_pid != orphan->pid) {
    forget(orphan, 0);
  } else {
    look(orphan, 0, &info);
    forget(orphan, 1);
  }
}

void orphans_reap(int most) {
  if (!__atomic_load_n(&first, __ATOMIC_RELAXED)) return;
  state_lock();
  const struct orphan *end = last;
  while (first && most-- > 0) {
    struct orphan *orphan = take_first();
    int is_end = orphan == end;
    reap_one(orphan);
    if (is_end) break;
  }
  state_unlock();
}

void aiospawn_reap_orphans(void) { orphans_reap(ORPHANS_ALL); }

/* Of a pidfd whose process is not a child of this one, waitid answers ECHILD. */
void orphans_after_fork(void) {
  while (first) {
    struct orphan *orphan = take_first();
    siginfo_t info;
    forget(orphan, is_still_ours(orphan) && look(orphan, WNOWAIT, &info) == -ECHILD);
  }
}
