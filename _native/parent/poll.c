/* One wake-up of a loop: everything that is ready, read and reaped, as plain events.
 *
 * Facts and rules behind the order below:
 *  - the kernel puts every level-triggered entry it returns at the tail of its list: whoever is returned and not handled
 *    starves behind the always-ready. So every fetched event is handled in its tick, and the reads share the buffer.
 *  - a started event comes before everything else of its child: status pipes first, and whoever finds a pipe or the pidfd
 *    ready asks the status pipe before.
 *  - the end of the status pipe means execve, or death: then the child is gone from our memory either way, but its pidfd may
 *    be a moment behind. Reading a word of its memory tells: no such process, or another memory. A program may end its
 *    first thread, and with it what can be read there, and run on: then /proc tells whether it has executed.
 *  - no end of a pipe is reported before what the child's other pipes held when it was found, nor in the same wake-up: a task
 *    that reads one of them would see the end before another task has seen the data. So an end that has to wait stays in the
 *    set, which wakes the loop again. It waits for so many bytes as were there, since a writer may go on for ever.
 *  - an entry leaves the set before its descriptor is closed: another process may hold the same file, and its entry would
 *    go on reporting.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "init_client.h"
#include "launcher/launcher.h"
#include "reactor.h"
#include "lock.h"
#include "exit_status.h"
#include "child/sys.h"

enum {
  MOST_READ = 96 * 1024,           /* glibc gives each larger piece of memory back to the kernel as soon as it is freed */
  FULL = 64 * 1024                 /* what a pipe holds, unless it was made larger */
};

struct drain {
  struct aiospawn_reactor *reactor;
  uint32_t data_used;
  uint32_t share;                  /* bytes that each ready pipe may fill */
  uint32_t ended_count;
  struct { struct source *source; int error; } ended[BATCH]; /* the pipes of the batch that have no more to give */
};

static struct aiospawn_event *emit(struct drain *drain, const struct child *child, uint32_t kind, uint32_t stream) {
  struct aiospawn_event *event = &drain->reactor->memory->events[drain->reactor->batch.count++];
  *event = (struct aiospawn_event){.token = child->token, .kind = kind, .stream = stream};
  return event;
}

/* ---- the launch ---------------------------------------------------------------------------------------------------- */

static int gone(const struct child *child) {
  int32_t word = 0;
  struct iovec here = {&word, sizeof word}, there = {&word, sizeof word};
  return process_vm_readv(child->pid, &here, 1, &there, 1, 0) == -1 && errno == ESRCH;
}

static int before_exec(const struct child *child) {
  return is_before_exec(child->pid, child->via_launcher ? LAUNCHER_NAME : NULL);
}

enum verdict { NOT_YET, RAN, NEVER_RAN };

/* What the end of a child, not yet reaped by us, tells of its launch. One that did not get to its program was killed, or was a
 * launcher without a request; one that somebody else has reaped is taken to have run. */
static enum verdict verdict_of(const struct child *child) {
  int status = 0, result = status_of(child->sources[WATCHED_PIDFD].fd, WEXITED | WNOHANG | WNOWAIT, &status, NULL);
  if (result == 0) return NOT_YET;
  if (result < 0) return RAN;
  if (child->via_launcher && !child->launcher_alive) return NEVER_RAN;
  return status < 0 && before_exec(child) == 1 ? NEVER_RAN : RAN;
}

static void end_of_stream(struct drain *drain, struct source *source, int error) {
  if (source->disowned) source_watch(source, NO_MASK);
  else child_shut(source);
  emit(drain, source->child, AIOSPAWN_EOF, source->index)->value = error;
}

static void park(struct source *source) {
  source->parked = 1;
  source_watch(source, NO_MASK);
}

static void unpark(struct drain *drain, struct source *source) {
  if (!source->parked) return;
  source->parked = 0;
  int result = source_watch(source, source->mask);
  if (result < 0) end_of_stream(drain, source, -result);
}

static void started(struct drain *drain, struct child *child) {
  child->state = STARTED;
  child_leave_memory(child);
  emit(drain, child, AIOSPAWN_STARTED, 0);
  for (int stream = 0; stream < AIOSPAWN_STREAMS; stream++) unpark(drain, &child->sources[stream]);
}

/* The status pipe has ended, or cannot matter any more. Without a memory it is dead, or a program whose first thread is; a
 * launcher that never spoke is dead, though it may not have exited yet, nor have its name. */
static void left_memory(struct drain *drain, struct child *child) {
  child->state = UNSURE;
  if (child->via_launcher && !child->launcher_alive) return;
  enum verdict verdict = gone(child) ? verdict_of(child) : RAN;
  if (verdict == RAN || (verdict == NOT_YET && before_exec(child) == 0)) started(drain, child);
}

/* Up to two words of a byte: "l", the child has left our descriptor table; "a", the launcher is alive. Then a record: the
 * program never runs. `ended`: nothing comes behind what is there. */
static void read_status(struct drain *drain, struct child *child, int ended) {
  struct source *status = &child->sources[WATCHED_STATUS];
  unsigned char said[2 + sizeof child->failure];
  ssize_t length;
  do length = read(status->fd, said, sizeof said);
  while (length == -1 && errno == EINTR);
  if (length == -1) return;
  size_t record = (size_t)length >= sizeof child->failure ? sizeof child->failure : 0, words = (size_t)length - record;
  child_leave_table(child);
  if (memchr(said, 'a', words)) {
    child->launcher_alive = 1;
    child_leave_memory(child);
  }
  if (words && !record && !ended) {
    if (child->via_launcher) source_watch(status, 0); /* not woken for the "a" behind an "l" */
    return;
  }
  child_shut(status);
  if (!record) {
    left_memory(drain, child);
    return;
  }
  memcpy(&child->failure, said + words, sizeof child->failure);
  child->state = FAILING; /* told when it is reaped */
}

/* Has it executed the program, as far as that can be told without the status pipe? */
static int has_executed(const struct child *child) {
  if (child->has_init) return 0; /* nothing here tells of init's child */
  if (child->via_launcher) return child->launcher_alive && before_exec(child) == 0;
  if (child->private_memory) return before_exec(child) == 0;
  return !__atomic_load_n(&child->slot->flight.alive, __ATOMIC_ACQUIRE);
}

/* A fork elsewhere in the process that dawdles before its exec holds back the end of the status pipe. */
static void settle(struct drain *drain, struct child *child) {
  if (child->state == LAUNCHING) read_status(drain, child, 0);
  if (child->state != LAUNCHING || !has_executed(child)) return;
  child_shut(&child->sources[WATCHED_STATUS]);
  left_memory(drain, child);
}

/* ---- the pipes ----------------------------------------------------------------------------------------------------- */

static ssize_t read_some(struct drain *drain, const struct source *source, size_t room) {
  ssize_t length;
  do length = read(source->fd, drain->reactor->memory->data + drain->data_used, room);
  while (length == -1 && errno == EINTR);
  return length;
}

static void found_end(struct drain *drain, struct source *source, int error) {
  drain->ended[drain->ended_count].source = source;
  drain->ended[drain->ended_count++].error = error;
}

static void brought(struct source *source, uint32_t length) {
  source->fed = 1;
  if (!source->ahead) return;
  source->awaited = 1;
  if (!source->terminal) source->ahead -= length < source->ahead ? length : source->ahead;
}

/* To the end, where there is no writer any more. */
static void read_pipe(struct drain *drain, struct source *source, uint32_t ready) {
  uint32_t begin = drain->data_used;
  ssize_t length;
  do {
    length = read_some(drain, source, begin + drain->share - drain->data_used);
    if (length > 0) drain->data_used += (uint32_t)length;
    if (length >= FULL) source_enlarge(source);
  } while (length > 0 && (ready & EPOLLHUP) && drain->data_used < begin + drain->share);
  int error = length == -1 ? errno : 0;
  if (drain->data_used > begin) {
    struct aiospawn_event *event = emit(drain, source->child, AIOSPAWN_DATA, source->index);
    event->offset = begin;
    event->length = drain->data_used - begin;
    brought(source, event->length);
  }
  if (length > 0 || error == EAGAIN) return;
  found_end(drain, source, error == EIO && source->terminal ? 0 : error);
}

static void write_pipe(struct drain *drain, struct source *source, uint32_t ready) {
  if (ready & (EPOLLERR | EPOLLHUP)) found_end(drain, source, 0);
  else emit(drain, source->child, AIOSPAWN_WRITABLE, source->index);
}

/* ---- their ends ---------------------------------------------------------------------------------------------------- */

/* The bytes in a pipe. Those on their way through a terminal are not counted by the kernel: it has some until its end is read. */
static uint32_t bytes_in(const struct source *source) {
  int bytes = 0;
  if (source->terminal) return UINT32_MAX;
  return ioctl(source->fd, FIONREAD, &bytes) == 0 ? (uint32_t)bytes : 0;
}

static int may_bring_more(const struct source *source) {
  return source->added && source->mask == EPOLLIN && !source->ended;
}

/* From now on this end waits for what the other pipes hold. One that is paused is not waited for: its reader may be waiting for
 * this end. */
static void let_wait(struct source *ended) {
  for (int stream = 0; stream < AIOSPAWN_STREAMS; stream++) {
    struct source *other = &ended->child->sources[stream];
    if (other == ended) continue;
    other->awaited |= other->fed;
    if (may_bring_more(other)) other->ahead = bytes_in(other);
  }
}

/* Somebody else may have read what is waited for: who asked for the pipe itself. */
static int is_due(const struct source *ended) {
  for (int stream = 0; stream < AIOSPAWN_STREAMS; stream++) {
    const struct source *other = &ended->child->sources[stream];
    if (other == ended) continue;
    if (other->awaited || (may_bring_more(other) && other->ahead && bytes_in(other))) return 0;
  }
  return 1;
}

static void report_end(struct drain *drain, struct source *source, int error) {
  if (source->mask == EPOLLIN) {
    end_of_stream(drain, source, error);
  } else {
    source_watch(source, NO_MASK);
    emit(drain, source->child, AIOSPAWN_READER_GONE, source->index);
  }
}

/* Behind all data of the batch: first all ends are known, then who has to wait for whom. */
static void report_ends(struct drain *drain) {
  uint8_t is_new[BATCH];
  for (uint32_t i = 0; i < drain->ended_count; i++) {
    struct source *source = drain->ended[i].source;
    is_new[i] = !source->ended && !source->child->collected;
    source->ended = 1;
  }
  for (uint32_t i = 0; i < drain->ended_count; i++)
    if (is_new[i]) let_wait(drain->ended[i].source);
  for (uint32_t i = 0; i < drain->ended_count; i++) {
    struct source *source = drain->ended[i].source;
    if (source->child->collected || is_due(source)) report_end(drain, source, drain->ended[i].error);
  }
}

/* ---- the exit ------------------------------------------------------------------------------------------------------ */

static void died(struct drain *drain, struct child *child, int status) {
  emit(drain, child, AIOSPAWN_DIED, 0)->value = -status;
}

static void failed(struct drain *drain, struct child *child) {
  struct aiospawn_event *event = emit(drain, child, AIOSPAWN_FAILED, 0);
  event->value = child->failure.error;
  event->extra = child->failure.kind;
  event->offset = child->failure.index;
}

/* Somebody else is about to reap it. Its pidfd stays ready, so it is looked at in each wake-up until he is done. */
static int is_patient(struct child *child) {
  enum { PATIENCE = 1 };
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (!child->taken_since) child->taken_since = now.tv_sec;
  return now.tv_sec - child->taken_since <= PATIENCE;
}

static void reap(struct drain *drain, struct child *child) {
  struct source *pidfd = &child->sources[WATCHED_PIDFD];
  struct rusage *usage = &drain->reactor->memory->usage[drain->reactor->batch.count + 1];
  int status = 255, known = 1, lost = 0;
  int untold = child->state == LAUNCHING || child->state == UNSURE;
  int never_ran = untold && verdict_of(child) == NEVER_RAN;
  state_lock(); /* whoever asks finds it alive, ended, or reaped, with the same status */
  int result = status_of(pidfd->fd, WEXITED | WNOHANG, &status, usage);
  if (result < 0) {
    int recovered = status_recovered(pidfd->fd, &status);
    if (recovered == -EAGAIN && is_patient(child)) {
      state_unlock();
      return;
    }
    known = 0;
    lost = recovered < 0;
  }
  if (result > 0 && child->has_init) init_client_usage(child, usage);
  child->reaped = result != 0;
  child->status = status;
  state_unlock();
  if (result == 0) return;
  child_shut(&child->sources[WATCHED_STATUS]);
  if (child->keep_pidfd) source_watch(pidfd, NO_MASK);
  else child_shut(pidfd);
  if (child->state == FAILING) {
    child_leave_memory(child);
    failed(drain, child);
    return;
  }
  if (never_ran) {
    child_leave_memory(child);
    if (status < 0) {
      died(drain, child, status);
    } else { /* the launcher found no request */
      child->failure = (struct failure){.error = EIO, .kind = AIOSPAWN_STEP_LAUNCHER};
      failed(drain, child);
    }
    return;
  }
  if (child->state != STARTED) started(drain, child);
  struct aiospawn_event *event = emit(drain, child, AIOSPAWN_EXITED, 0);
  event->value = status;
  event->extra = known | lost << 1;
  if (known) memmove(&drain->reactor->memory->usage[event - drain->reactor->memory->events], usage, sizeof *usage);
}

/* ---- the batch ----------------------------------------------------------------------------------------------------- */

static int is_status(const struct source *source) { return source->index == WATCHED_STATUS; }
static int is_pipe(const struct source *source) { return source->index < WATCHED_STATUS; }

static void handle_pipe(struct drain *drain, struct source *source, uint32_t ready) {
  settle(drain, source->child);
  if (source->child->state != STARTED) park(source);
  else if (source->mask == EPOLLIN) read_pipe(drain, source, ready);
  else write_pipe(drain, source, ready);
}

static void handle_exit(struct drain *drain, struct source *source) {
  settle(drain, source->child);
  reap(drain, source->child);
}

int aiospawn_drain(struct aiospawn_reactor *reactor) {
  struct epoll_event ready[BATCH];
  struct drain drain;
  drain.reactor = reactor;
  drain.data_used = drain.ended_count = 0;
  reactor->batch.head = reactor->batch.count = 0;
  if (reactor->dead) return -EOWNERDEAD;
  int count = epoll_wait(reactor->epoll, ready, BATCH, 0);
  if (count == -1) return errno == EINTR ? 0 : -errno;
  uint32_t readers = 0;
  for (int i = 0; i < count; i++) {
    struct source *source = ready[i].data.ptr;
    if (is_status(source)) read_status(&drain, source->child, (ready[i].events & EPOLLHUP) != 0);
    else if (is_pipe(source) && source->mask == EPOLLIN) readers++;
  }
  drain.share = readers ? DATA / readers : 0;
  if (drain.share > MOST_READ) drain.share = MOST_READ;
  for (int i = 0; i < count; i++) {
    struct source *source = ready[i].data.ptr;
    if (is_pipe(source)) handle_pipe(&drain, source, ready[i].events);
  }
  report_ends(&drain);
  for (int i = 0; i < count; i++) {
    struct source *source = ready[i].data.ptr;
    if (source->index == WATCHED_PIDFD) handle_exit(&drain, source);
    source->fed = source->awaited = 0;
  }
  return (int)reactor->batch.count;
}
