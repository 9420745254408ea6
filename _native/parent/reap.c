#include "reap.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "exit_status.h"
#include "init_client.h"
#include "launch_outcome.h"
#include "state_lock.h"

struct collected {
  int status;                      /* as in AIOSPAWN_EXITED */
  int has_usage;                   /* the resource use is known: it was not reaped elsewhere */
  int is_lost;                     /* the status is not */
};

/* ---- collecting ------------------------------------------------------------------------------------------------------ */

/* Another thread or process is reaping it. Its pidfd stays ready, so it is looked at in each wake-up until that is done. */
static int is_patient(struct child *child) {
  enum { LONGEST_WAIT_S = 1 };
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (!child->taken_since) child->taken_since = now.tv_sec;
  return now.tv_sec - child->taken_since <= LONGEST_WAIT_S;
}

/* Init knows, also where somebody else has reaped it; unless it was killed. Process 1 of a PID namespace cannot end by a signal of
 * its own: before there is a command it exits as a shell would. */
static void ask_init(struct child *child, struct collected *collected, struct usage *usage) {
  if (init_client_end(child, &collected->status, usage)) {
    collected->has_usage = 1;
    collected->is_lost = 0;
  } else if (child->has_namespace && collected->status == 128 + SIGKILL) {
    collected->status = -SIGKILL;
  }
}

/* 0: it is not to be had yet. */
static int collect(struct child *child, struct collected *collected, struct usage *usage) {
  int pidfd = child->watched[WATCHED_PIDFD].fd;
  *collected = (struct collected){.status = 255, .has_usage = 1};
  state_lock(); /* other threads find it alive, ended, or reaped, with the same status */
  int result = exit_status_of(pidfd, WEXITED | WNOHANG, &collected->status, usage);
  if (result < 0) {
    int recovered = exit_status_recover(pidfd, &collected->status);
    if (recovered == -EAGAIN && is_patient(child)) {
      state_unlock();
      return 0;
    }
    collected->has_usage = 0;
    collected->is_lost = recovered < 0;
  }
  if (result != 0 && child->has_init) ask_init(child, collected, usage);
  child->reaped = result != 0;
  child->status = collected->status;
  state_unlock();
  return child->reaped;
}

/* ---- reporting ------------------------------------------------------------------------------------------------------- */

static void died(struct wakeup *wakeup, struct child *child, int status) {
  wakeup_add(wakeup, child, AIOSPAWN_DIED, 0)->value = -status;
}

static void failed(struct wakeup *wakeup, struct child *child) {
  struct aiospawn_event *event = wakeup_add(wakeup, child, AIOSPAWN_FAILED, 0);
  event->value = child->failure.error;
  event->extra = child->failure.kind;
  event->offset = child->failure.index;
}

static void report_no_program(struct wakeup *wakeup, struct child *child, int status) {
  child_leave_memory(child);
  if (child->state == FAILING) {
    failed(wakeup, child);
  } else if (status < 0) {
    died(wakeup, child, status);
  } else { /* the launcher found no request */
    child->failure = (struct failure){.error = EIO, .kind = AIOSPAWN_STEP_LAUNCHER};
    failed(wakeup, child);
  }
}

static void report_exit(struct wakeup *wakeup, struct child *child, const struct collected *collected, const struct usage *usage) {
  if (child->state != STARTED) launch_outcome_started(wakeup, child);
  struct aiospawn_event *event = wakeup_add(wakeup, child, AIOSPAWN_EXITED, child->ended_pipes);
  event->value = collected->status;
  event->extra = collected->has_usage | collected->is_lost << 1 | child->limit << 8;
  if (!collected->has_usage) return;
  memmove(&wakeup->reactor->memory->usage[event - wakeup->reactor->memory->events], usage, sizeof *usage);
}

static void note_end(struct aiospawn_reactor *reactor, const struct child *child, int never_ran) {
  if (!child->drops_at_end || (!never_ran && child_has_pipes(child))) return;
  reactor->memory->over[reactor->over_count++] = child->token;
}

void reap(struct wakeup *wakeup, struct child *child) {
  struct watched_fd *pidfd = &child->watched[WATCHED_PIDFD];
  /* Where it belongs in most cases; STARTED may come before it. */
  struct usage *usage = &wakeup->reactor->memory->usage[wakeup->reactor->batch.count + 1];
  struct collected collected;
  int is_open = child->state == LAUNCHING || child->state == UNSURE;
  int never_ran = child->state == FAILING || (is_open && launch_outcome_never_ran(child)); /* can be asked only before */
  if (!collect(child, &collected, usage)) return;
  child_shut(&child->watched[WATCHED_STATUS]);
  if (child->keep_pidfd) watched_fd_set(pidfd, NO_MASK);
  else child_shut(pidfd);
  if (never_ran) report_no_program(wakeup, child, collected.status);
  else report_exit(wakeup, child, &collected, usage);
  if (never_ran || !collected.is_lost) note_end(wakeup->reactor, child, never_ran);
}
