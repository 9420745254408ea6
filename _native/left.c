#include "left.h"

#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aiospawn.h"
#include "descriptor.h"
#include "state.h"
#include "status.h"

struct left {
  struct left *next, **link;       /* link: what points to it */
  int32_t pidfd;
};

static struct left *first;         /* this and the set are guarded by the state lock */
static int32_t set = -1;           /* open while there are any */

static int set_open(void) {
  if (set >= 0) return 1;
  set = epoll_create1(EPOLL_CLOEXEC);
  return set >= 0 && descriptor_lift(&set, 3) == 0;
}

static void set_close_unless_needed(void) {
  if (set < 0 || __atomic_load_n(&first, __ATOMIC_RELAXED)) return;
  close(set);
  set = -1;
}

void left_keep(int pidfd) {
  struct left *left = malloc(sizeof *left);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = left};
  if (!left || !set_open() || epoll_ctl(set, EPOLL_CTL_ADD, pidfd, &event) == -1) {
    free(left);
    close(pidfd);
    set_close_unless_needed();
    return;
  }
  *left = (struct left){.next = first, .link = &first, .pidfd = pidfd};
  if (first) first->link = &left->next;
  __atomic_store_n(&first, left, __ATOMIC_RELAXED);
}

static void forget(struct left *left) {
  epoll_ctl(set, EPOLL_CTL_DEL, left->pidfd, NULL); /* another process may have the file, and its entry would stay */
  close(left->pidfd);
  if (left->next) left->next->link = left->link;
  __atomic_store_n(left->link, left->next, __ATOMIC_RELAXED);
  free(left);
}

/* How many were ready. */
static int reap_some(int most) {
  enum { AT_ONCE = 64 };
  struct epoll_event ready[AT_ONCE];
  int status, count = epoll_wait(set, ready, most < AT_ONCE ? most : AT_ONCE, 0), reaped = 0;
  for (int i = 0; i < count; i++) {
    struct left *left = ready[i].data.ptr;
    if (status_of(left->pidfd, WEXITED | WNOHANG, &status, NULL) == 0) continue;
    forget(left); /* somebody else may have reaped it */
    reaped++;
  }
  return reaped;
}

void left_reap(int most) {
  if (!__atomic_load_n(&first, __ATOMIC_RELAXED)) return;
  state_lock();
  for (int reaped; set >= 0 && most > 0 && (reaped = reap_some(most)) > 0;) most -= reaped;
  set_close_unless_needed();
  state_unlock();
}

void aiospawn_reap_left(void) { left_reap(LEFT_ALL); }

/* Without a DEL: it would take the entry out of the parent's set, which is the same file. */
void left_let_go(void) {
  while (first) {
    struct left *left = first;
    first = left->next;
    close(left->pidfd);
    free(left);
  }
  if (set >= 0) close(set);
  set = -1;
}
