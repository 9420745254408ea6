#include "pipe_events.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { FULL = 64 * 1024 }; /* what a pipe holds, unless it was made larger */

static void end_of_stream(struct wakeup *wakeup, struct watched_fd *watched, int error) {
  struct child *child = watched->child;
  if (watched->disowned) watched_fd_set(watched, NO_MASK);
  else child_shut(watched);
  if (child->collected && !child->reaped) child->ended_pipes |= (uint8_t)(1u << watched->index);
  else wakeup_add(wakeup, child, AIOSPAWN_EOF, watched->index)->value = error;
}

void pipe_park(struct watched_fd *watched) {
  watched->parked = 1;
  watched_fd_set(watched, NO_MASK);
}

void pipe_unpark(struct wakeup *wakeup, struct watched_fd *watched) {
  if (!watched->parked) return;
  watched->parked = 0;
  int result = watched_fd_set(watched, watched->mask);
  if (result < 0) end_of_stream(wakeup, watched, -result);
}

/* ---- data ------------------------------------------------------------------------------------------------------------- */

static ssize_t read_some(struct wakeup *wakeup, const struct watched_fd *watched, size_t most) {
  ssize_t length;
  do length = read(watched->fd, wakeup->reactor->memory->data + wakeup->data_used, most);
  while (length == -1 && errno == EINTR);
  return length;
}

static void found_end(struct wakeup *wakeup, struct watched_fd *watched, int error) {
  wakeup->ended[wakeup->ended_count].watched = watched;
  wakeup->ended[wakeup->ended_count++].error = error;
}

static void brought(struct watched_fd *watched, uint32_t length) {
  watched->fed = 1;
  if (!watched->ahead) return;
  watched->awaited = 1;
  if (!watched->terminal) watched->ahead -= length < watched->ahead ? length : watched->ahead;
}

/* To the end, where there is no writer any more. */
void pipe_read(struct wakeup *wakeup, struct watched_fd *watched, uint32_t ready) {
  uint32_t begin = wakeup->data_used;
  ssize_t length;
  do {
    length = read_some(wakeup, watched, begin + wakeup->share - wakeup->data_used);
    if (length > 0) wakeup->data_used += (uint32_t)length;
    if (length >= FULL) watched_fd_enlarge(watched);
  } while (length > 0 && (ready & EPOLLHUP) && wakeup->data_used < begin + wakeup->share);
  int error = length == -1 ? errno : 0;
  if (wakeup->data_used > begin) {
    struct aiospawn_event *event = wakeup_add(wakeup, watched->child, AIOSPAWN_DATA, watched->index);
    event->offset = begin;
    event->length = wakeup->data_used - begin;
    brought(watched, event->length);
  }
  if (length > 0 || error == EAGAIN) return;
  found_end(wakeup, watched, error == EIO && watched->terminal ? 0 : error);
}

void pipe_write(struct wakeup *wakeup, struct watched_fd *watched, uint32_t ready) {
  if (ready & (EPOLLERR | EPOLLHUP)) found_end(wakeup, watched, 0);
  else wakeup_add(wakeup, watched->child, AIOSPAWN_WRITABLE, watched->index);
}

/* ---- their ends ---------------------------------------------------------------------------------------------------- */

/* The bytes in a pipe. Those on their way through a terminal are not counted by the kernel: it has some until its end is read. */
static uint32_t bytes_in(const struct watched_fd *watched) {
  int bytes = 0;
  if (watched->terminal) return UINT32_MAX;
  return ioctl(watched->fd, FIONREAD, &bytes) == 0 ? (uint32_t)bytes : 0;
}

static int may_bring_more(const struct watched_fd *watched) {
  return watched->added && watched->mask == EPOLLIN && !watched->ended;
}

/* From now on this end waits for what the other pipes hold. One that is paused is not waited for: its reader may be waiting for
 * this end. */
static void let_wait(struct watched_fd *ended) {
  for (int stream = 0; stream < AIOSPAWN_STREAMS; stream++) {
    struct watched_fd *other = &ended->child->watched[stream];
    if (other == ended) continue;
    other->awaited |= other->fed;
    if (may_bring_more(other)) other->ahead = bytes_in(other);
  }
}

/* What is waited for may have been read elsewhere: by the program, which asked for the pipe itself. */
static int is_due(const struct watched_fd *ended) {
  for (int stream = 0; stream < AIOSPAWN_STREAMS; stream++) {
    const struct watched_fd *other = &ended->child->watched[stream];
    if (other == ended) continue;
    if (other->awaited || (may_bring_more(other) && other->ahead && bytes_in(other))) return 0;
  }
  return 1;
}

static void report_end(struct wakeup *wakeup, struct watched_fd *watched, int error) {
  if (watched->mask == EPOLLIN) {
    end_of_stream(wakeup, watched, error);
  } else {
    watched_fd_set(watched, NO_MASK);
    wakeup_add(wakeup, watched->child, AIOSPAWN_READER_GONE, watched->index);
  }
}

/* Behind all data of the batch: first all ends are known, then which of them has to wait for another. */
void pipe_report_ends(struct wakeup *wakeup) {
  uint8_t is_new[BATCH];
  for (uint32_t i = 0; i < wakeup->ended_count; i++) {
    struct watched_fd *watched = wakeup->ended[i].watched;
    is_new[i] = !watched->ended && !watched->child->collected;
    watched->ended = 1;
  }
  for (uint32_t i = 0; i < wakeup->ended_count; i++)
    if (is_new[i]) let_wait(wakeup->ended[i].watched);
  for (uint32_t i = 0; i < wakeup->ended_count; i++) {
    struct watched_fd *watched = wakeup->ended[i].watched;
    if (watched->child->collected || is_due(watched)) report_end(wakeup, watched, wakeup->ended[i].error);
  }
}
