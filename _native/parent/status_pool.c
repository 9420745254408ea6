#include "status_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "descriptor.h"
#include "probe.h"
#include "state_lock.h"

enum { MOST = 64 }; /* as many as there are stacks kept */

static const char our_descriptors[] = "/proc/thread-self/fd";

/* ---- whether it works here ------------------------------------------------------------------------------------------- */

static int is_same_file(int first, int second) {
  struct stat a, b;
  return fstat(first, &a) == 0 && fstat(second, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static int write_end(int directory, const char *name) { return openat(directory, name, O_WRONLY | O_CLOEXEC | O_NONBLOCK); }

/* One round: silent while it is open, and heard once when it is closed. */
static int ends_audibly(int epoll, int reader, int writer) {
  struct epoll_event event;
  int silent = writer >= 0 && is_same_file(reader, writer) && epoll_wait(epoll, &event, 1, 0) == 0;
  if (writer >= 0) close(writer);
  return silent && epoll_wait(epoll, &event, 1, 0) == 1 && event.events & EPOLLHUP && epoll_wait(epoll, &event, 1, 0) == 0;
}

static int is_heard_again(int epoll, int directory, int reader, int writer) {
  char name[12];
  struct epoll_event event = {.events = EPOLLET};
  snprintf(name, sizeof name, "%d", reader);
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, reader, &event) == -1) {
    close(writer);
    return 0;
  }
  int heard = ends_audibly(epoll, reader, writer);
  for (int i = 0; i < 2 && heard; i++) heard = ends_audibly(epoll, reader, write_end(directory, name));
  return heard;
}

/* Of the kernel, not of a tree that somebody has put in its place: a file of that would never end. */
static int open_descriptors(void) {
  struct statfs about;
  int directory = open(our_descriptors, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (directory == -1 || (fstatfs(directory, &about) == 0 && about.f_type == PROC_SUPER_MAGIC)) return directory;
  close(directory);
  errno = ENOSYS;
  return -1;
}

enum { NOT_TRIED = -1 };

static int refusal(void) { return is_shortage(-errno) ? NOT_TRIED : 0; }

/* An emulator may have no such directory, or another idea of an edge. */
static int try(void) {
  int ends[2], works;
  int directory = open_descriptors();
  if (directory == -1) return refusal();
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll >= 0 && pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0) {
    works = is_heard_again(epoll, directory, ends[0], ends[1]);
    close(ends[0]);
  } else {
    works = refusal();
  }
  if (epoll >= 0) close(epoll);
  close(directory);
  return works;
}

/* Under the state lock. */
static int pipes_can_be_used_again(void) {
  static int works = NOT_TRIED;
  if (works == NOT_TRIED) works = try();
  return works;
}

/* ---- the pool ------------------------------------------------------------------------------------------------------- */

/* 1, or a negated errno. */
static int open_directory(struct status_pool *pool) {
  if (pool->has_directory) return 1;
  int works = pipes_can_be_used_again();
  if (works != 1) return works == NOT_TRIED ? -EMFILE : -ENOSYS;
  int directory = open_descriptors(), error = directory == -1 ? -errno : descriptor_lift(&directory, 3);
  if (error < 0) return error;
  pool->directory = directory;
  pool->has_directory = 1;
  return 1;
}

/* A file system's rules, a user id or the root directory may have changed: then every launch has a pipe of its own. Where there is a
 * shortage this one tries to have one. */
static int open_again(struct status_pool *pool, struct pooled_pipe *pipe, int32_t *end) {
  int result = open_directory(pool);
  if (result == 1 && (*end = write_end(pool->directory, pipe->name)) == -1) result = -errno;
  if (result == 1) return 1;
  pool->refused = !is_shortage(result);
  return 0;
}

static int make(struct pooled_pipe *pipe, int epoll, int32_t *end) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == -1) return -errno;
  pipe->watched = (struct watched_fd){.epoll = epoll, .fd = ends[0], .index = WATCHED_POOLED};
  *end = ends[1];
  int error = descriptor_lift(&pipe->watched.fd, 3);
  if (error == 0) error = watched_fd_set(&pipe->watched, EPOLLET);
  if (error < 0) {
    if (pipe->watched.fd >= 0) close(pipe->watched.fd);
    close(*end);
    *end = -1; /* the caller closes what is there */
    return error;
  }
  snprintf(pipe->name, sizeof pipe->name, "%d", pipe->watched.fd);
  return 1;
}

/* Under the state lock, so that a fork finds all of it. */
static int another(struct status_pool *pool, int epoll, int32_t *end) {
  if (pool->count >= MOST) return 0;
  struct pooled_pipe *pipe = calloc(1, sizeof *pipe);
  if (!pipe) return -ENOMEM;
  int result = make(pipe, epoll, end);
  if (result < 0) {
    free(pipe);
    return result;
  }
  pipe->next_made = pool->made;
  pool->made = pipe;
  pipe->next = pool->unused;
  pool->unused = pipe;
  pool->count++;
  return result;
}

struct pooled_pipe *status_pool_take(struct status_pool *pool, struct child *child, int epoll, const struct launch *launch, int32_t *end,
                                     int *error) {
  struct pooled_pipe *pipe = NULL;
  *error = 0;
  if (pool->refused) return NULL;
  state_lock();
  int result = pool->unused ? open_again(pool, pool->unused, end) : another(pool, epoll, end);
  if (result == 1) {
    pipe = pool->unused;
    pool->unused = pipe->next;
    pool->used++;
    pipe->in_use = 1;
    pipe->watched.child = child;
    result = descriptor_lift_end(end, launch);
  }
  state_unlock();
  if (result < 0) *error = result;
  return pipe;
}

/* An end is reported twice where the set is looked at while it comes, and each time another process closes what it had opened in /proc. */
struct child *status_pool_put_back(struct status_pool *pool, struct watched_fd *watched) {
  struct pooled_pipe *pipe = (struct pooled_pipe *)watched;
  struct child *child = watched->child;
  if (!pipe->in_use) return NULL;
  pipe->in_use = 0;
  watched->child = NULL;
  pipe->next = pool->unused;
  pool->unused = pipe;
  pool->used--;
  return child;
}

/* ---- the end -------------------------------------------------------------------------------------------------------- */

static void close_directory(struct status_pool *pool) {
  if (pool->has_directory) close(pool->directory);
  pool->has_directory = 0;
}

static void drop_newest(struct status_pool *pool) {
  struct pooled_pipe *pipe = pool->made;
  watched_fd_close(&pipe->watched);
  state_lock();
  pool->made = pipe->next_made;
  state_unlock();
  free(pipe);
}

void status_pool_close(struct status_pool *pool) {
  while (pool->made) drop_newest(pool);
  state_lock();
  close_directory(pool);
  pool->unused = NULL;
  pool->count = pool->used = 0;
  state_unlock();
}

void status_pool_after_fork(struct status_pool *pool) {
  for (struct pooled_pipe *pipe = pool->made; pipe; pipe = pipe->next_made) watched_fd_close_copy(&pipe->watched, -1);
  close_directory(pool);
}
