#include "reactor.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "descriptor.h"
#include "probe.h"
#include "status.h"
#include "sys.h"

uint32_t aiospawn_generation;

static pthread_mutex_t state = PTHREAD_MUTEX_INITIALIZER;
static struct aiospawn_reactor *reactors;
static struct reactor_memory *spare_memory;
static int enlarged; /* pipes */

void state_lock(void) { pthread_mutex_lock(&state); }
void state_unlock(void) { pthread_mutex_unlock(&state); }

/* ---- a fork elsewhere ---------------------------------------------------------------------------------------------- */

/* The copy of a pipe end would hold back an end-of-file, the copy of a pidfd could signal the parent's child, and taking
 * something out of the shared epoll set would mute the parent: so all of it is closed, at once and without a DEL. */
static void let_go(struct source *source, int placeholder) {
  if (source->fd < 0) return;
  if (!source->disowned) {
    close(source->fd);
    source->fd = -1;
  } else if (placeholder >= 0) {
    dup3(placeholder, source->fd, O_CLOEXEC);
  }
}

static void fork_prepare(void) {
  state_lock();
  slots_lock();
  landing_lock();
}

static void fork_parent(void) {
  landing_unlock();
  slots_unlock();
  state_unlock();
}

static void fork_child(void) {
  slots_reset_lock();
  landing_after_fork();
  pthread_mutex_init(&state, NULL);
  enlarged = 0;
  __atomic_add_fetch(&aiospawn_generation, 1, __ATOMIC_RELEASE);
  int placeholder = reactors ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
  for (struct aiospawn_reactor *reactor = reactors; reactor; reactor = reactor->next) {
    if (reactor->dead) continue;
    reactor->dead = 1;
    close(reactor->epoll);
    for (uint32_t place = 0; place < reactor->capacity; place++) {
      struct child *child = reactor->children[place];
      for (int i = 0; child && i < WATCHED; i++) let_go(&child->sources[i], placeholder);
      for (int i = 0; child && i < AIOSPAWN_ENDS; i++)
        if (child->far[i] >= 0) close(child->far[i]);
    }
  }
  if (placeholder >= 0) close(placeholder);
}

static pthread_once_t fork_handlers_once = PTHREAD_ONCE_INIT;
static void install_fork_handlers(void) { pthread_atfork(fork_prepare, fork_parent, fork_child); }

/* ---- sources ------------------------------------------------------------------------------------------------------- */

int source_watch(const struct aiospawn_reactor *reactor, struct source *source, uint32_t mask) {
  if (mask == NO_MASK) {
    if (source->added) epoll_ctl(reactor->epoll, EPOLL_CTL_DEL, source->fd, NULL);
    source->added = 0;
    return 0;
  }
  if (source->added && source->mask == mask) return 0;
  struct epoll_event event = {.events = mask, .data.ptr = source};
  if (epoll_ctl(reactor->epoll, source->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, source->fd, &event) == -1) return -errno;
  source->added = 1;
  source->mask = mask;
  return 0;
}

/* A pipe that was found full. Only so many at a time: the kernel gives a user without privileges 64 MiB of pipes in all
 * (fs.pipe-user-pages-soft), and makes each new one of 8 KiB when they are used up. */
void source_enlarge(struct source *source) {
  enum { LARGER = 256 * 1024, MOST_ENLARGED = 64 };
  if (source->sized || __atomic_load_n(&enlarged, __ATOMIC_RELAXED) >= MOST_ENLARGED) return;
  source->sized = 1;
  if (fcntl(source->fd, F_SETPIPE_SZ, LARGER) == -1) return;
  source->enlarged = 1;
  __atomic_add_fetch(&enlarged, 1, __ATOMIC_RELAXED);
}

/* The last close of a terminal's parent side hangs up on a session that is still alive: it waits for the exit. */
void source_shut(const struct aiospawn_reactor *reactor, struct source *source) {
  if (source->terminal && source->child->pid && !source->child->reaped) source_watch(reactor, source, NO_MASK);
  else source_close(reactor, source);
}

void source_close(const struct aiospawn_reactor *reactor, struct source *source) {
  if (source->fd < 0) return;
  source_watch(reactor, source, NO_MASK);
  state_lock();
  if (!source->disowned) close(source->fd);
  source->fd = -1;
  state_unlock();
  if (source->enlarged) __atomic_sub_fetch(&enlarged, 1, __ATOMIC_RELAXED);
  source->enlarged = 0;
}

/* ---- the table of children ----------------------------------------------------------------------------------------- */

static int table_grow(struct aiospawn_reactor *reactor) {
  uint32_t capacity = reactor->capacity ? 2 * reactor->capacity : 16;
  struct child **children = realloc(reactor->children, capacity * sizeof *children);
  if (children) reactor->children = children;
  uint32_t *free_places = realloc(reactor->free_places, capacity * sizeof *free_places);
  if (free_places) reactor->free_places = free_places;
  if (!children || !free_places) return -ENOMEM;
  for (uint32_t place = capacity; place-- > reactor->capacity;) {
    children[place] = NULL;
    free_places[reactor->free_count++] = place;
  }
  reactor->capacity = capacity;
  return 0;
}

struct child *child_enter(struct aiospawn_reactor *reactor) {
  struct child *child = calloc(1, sizeof *child);
  if (!child) return NULL;
  for (int i = 0; i < WATCHED; i++) child->sources[i] = (struct source){.child = child, .fd = -1, .index = (uint8_t)i};
  memset(child->far, -1, sizeof child->far);
  child->landing = LANDING_NONE;
  state_lock();
  if (!reactor->free_count && table_grow(reactor) < 0) {
    state_unlock();
    free(child);
    return NULL;
  }
  uint32_t place = reactor->free_places[--reactor->free_count];
  child->token = (uint64_t)++reactor->counter << 32 | place;
  reactor->children[place] = child;
  state_unlock();
  return child;
}

struct child *child_find(const struct aiospawn_reactor *reactor, uint64_t token) {
  uint32_t place = (uint32_t)token;
  if (place >= reactor->capacity) return NULL;
  struct child *child = reactor->children[place];
  return child && child->token == token ? child : NULL;
}

void child_leave_table(struct child *child) {
  if (child->landing != LANDING_NONE) landing_give_back(child->landing, &child->slot->flight.left);
  child->landing = LANDING_NONE;
}

void child_leave_memory(struct child *child) {
  if (!child->slot) return;
  child_leave_table(child);
  slot_release(child->slot);
  child->slot = NULL;
}

static void child_free(struct aiospawn_reactor *reactor, struct child *child) {
  /* In a fork nobody else runs in this copy of the memory, and the landing block is gone. */
  if (reactor->dead) child->landing = LANDING_NONE;
  if (reactor->dead || child->reaped || !child->pid) child_leave_memory(child);
  else if (child->slot) slot_abandon(child->slot);
  free(child);
}

void child_drop(struct aiospawn_reactor *reactor, struct child *child) {
  for (int i = 0; i < WATCHED; i++) source_close(reactor, &child->sources[i]);
  uint32_t place = (uint32_t)child->token;
  state_lock();
  reactor->children[place] = NULL;
  reactor->free_places[reactor->free_count++] = place;
  state_unlock();
  child_free(reactor, child);
}

/* ---- open and close ------------------------------------------------------------------------------------------------ */

static struct reactor_memory *memory_acquire(void) {
  state_lock();
  struct reactor_memory *memory = spare_memory;
  if (memory) spare_memory = memory->next;
  state_unlock();
  return memory ? memory : malloc(sizeof *memory);
}

static void memory_release(struct reactor_memory *memory) {
  state_lock();
  memory->next = spare_memory;
  spare_memory = memory;
  state_unlock();
}

struct aiospawn_reactor *aiospawn_reactor_open(int suspend, int *error) {
  pthread_once(&fork_handlers_once, install_fork_handlers);
  *error = -ENOMEM;
  struct aiospawn_reactor *reactor = calloc(1, sizeof *reactor);
  if (!reactor) return NULL;
  reactor->memory = memory_acquire();
  if (!reactor->memory) goto free_reactor;
  reactor->suspend = suspend != 0;
  reactor->batch.events = reactor->memory->events;
  reactor->batch.data = reactor->memory->data;
  reactor->batch.usage = (const unsigned char *)reactor->memory->usage;
  reactor->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (reactor->epoll == -1) {
    *error = -errno;
    goto release_memory;
  }
  /* Not 0, 1 or 2, in a parent without standard streams: libuv refuses to watch those. */
  *error = descriptor_lift(&reactor->epoll, 3);
  if (*error < 0) goto release_memory;
  state_lock();
  reactor->next = reactors;
  reactors = reactor;
  state_unlock();
  return reactor;
release_memory:
  memory_release(reactor->memory);
free_reactor:
  free(reactor);
  return NULL;
}

int aiospawn_reactor_epoll(const struct aiospawn_reactor *reactor) { return reactor->epoll; }

struct aiospawn_batch *aiospawn_reactor_batch(struct aiospawn_reactor *reactor) { return &reactor->batch; }

/* Unlists the children under the lock: other threads may be asking for one. */
static struct child **take_children(struct aiospawn_reactor *reactor, uint32_t *count) {
  state_lock();
  struct child **children = reactor->children;
  *count = reactor->capacity;
  reactor->children = NULL;
  reactor->capacity = reactor->free_count = 0;
  state_unlock();
  return children;
}

static void unlist(struct aiospawn_reactor *reactor) {
  state_lock();
  struct aiospawn_reactor **link = &reactors;
  while (*link != reactor) link = &(*link)->next;
  *link = reactor->next;
  state_unlock();
}

void aiospawn_reactor_close(struct aiospawn_reactor *reactor) {
  if (reactor->closed) return;
  uint32_t count;
  struct child **children = take_children(reactor, &count);
  for (uint32_t place = 0; place < count; place++) {
    struct child *child = children[place];
    if (!child) continue;
    if (!reactor->dead)
      for (int i = 0; i < WATCHED; i++) source_close(reactor, &child->sources[i]);
    child_free(reactor, child);
  }
  free(children);
  if (!reactor->dead) close(reactor->epoll);
  unlist(reactor);
  reactor->batch.head = reactor->batch.count = 0;
  reactor->closed = reactor->dead = 1;
}

void aiospawn_reactor_free(struct aiospawn_reactor *reactor) {
  aiospawn_reactor_close(reactor);
  memory_release(reactor->memory);
  free(reactor->free_places);
  free(reactor);
}

/* ---- what Python asks of a child ----------------------------------------------------------------------------------- */

static int find_stream(const struct aiospawn_reactor *reactor, uint64_t token, int stream, struct source **source) {
  if (reactor->dead) return -EOWNERDEAD;
  struct child *child = child_find(reactor, token);
  if (!child || stream < 0 || stream >= AIOSPAWN_STREAMS) return -ESRCH;
  *source = &child->sources[stream];
  return (*source)->fd < 0 ? -EBADF : 0;
}

int aiospawn_watch(struct aiospawn_reactor *reactor, uint64_t token, int stream, int how) {
  static const uint32_t masks[] = {
      [AIOSPAWN_WATCH_OFF] = NO_MASK,
      [AIOSPAWN_WATCH_IDLE] = 0,
      [AIOSPAWN_WATCH_READ] = EPOLLIN,
      [AIOSPAWN_WATCH_WRITE] = EPOLLOUT,
  };
  struct source *source;
  int found = find_stream(reactor, token, stream, &source);
  if (found < 0) return found;
  if (how == AIOSPAWN_WATCH_WRITE) source_enlarge(source);
  return source_watch(reactor, source, masks[how]);
}

int aiospawn_stream(struct aiospawn_reactor *reactor, uint64_t token, int stream) {
  struct source *source;
  int found = find_stream(reactor, token, stream, &source);
  return found < 0 ? found : source->fd;
}

int aiospawn_disown(struct aiospawn_reactor *reactor, uint64_t token, int stream) {
  struct source *source;
  int found = find_stream(reactor, token, stream, &source);
  if (found < 0) return found;
  source->disowned = 1;
  return source->fd;
}

int aiospawn_shut(struct aiospawn_reactor *reactor, uint64_t token, int stream) {
  struct source *source;
  int found = find_stream(reactor, token, stream, &source);
  if (found == 0) source_shut(reactor, source);
  return found;
}

int aiospawn_release(struct aiospawn_reactor *reactor, uint64_t token) {
  if (reactor->dead) return -EOWNERDEAD;
  struct child *child = child_find(reactor, token);
  if (!child) return -ESRCH;
  child_drop(reactor, child);
  return 0;
}

/* PIDFD_SIGNAL_PROCESS_GROUP needs Linux 6.9; before, the group's number is safe while its leader is not reaped. */
static long signal_group(const struct child *child, int signal) {
  enum { PROCESS_GROUP = 4 };
  long result = sys4(SYS_pidfd_send_signal, child->sources[WATCHED_PIDFD].fd, signal, 0, PROCESS_GROUP);
  if (result != -EINVAL || child->reaped) return result == -EINVAL ? -ESRCH : result;
  return sys2(SYS_kill, -child->pid, signal);
}

/* valgrind 3.19 does not know pidfd_send_signal; the number is safe there while the child is not reaped. */
static long signal_child(const struct child *child, int signal) {
  long result = sys4(SYS_pidfd_send_signal, child->sources[WATCHED_PIDFD].fd, signal, 0, 0);
  if (result != -ENOSYS || !(probed_features() & AIOSPAWN_UNDER_VALGRIND)) return result;
  return sys2(SYS_kill, child->pid, signal);
}

int aiospawn_signal(struct aiospawn_reactor *reactor, uint64_t token, int signal, int group) {
  if (reactor->dead) return -EOWNERDEAD;
  state_lock(); /* the pidfd must not be closed, and its number reused, under the call */
  struct child *child = child_find(reactor, token);
  long result = -ESRCH;
  if (child && child->sources[WATCHED_PIDFD].fd >= 0) {
    if (group) result = signal_group(child, signal);
    else if (!child->reaped) result = signal_child(child, signal);
  }
  state_unlock();
  return (int)result;
}

int aiospawn_take_pidfd(struct aiospawn_reactor *reactor, uint64_t token) {
  if (reactor->dead) return -EOWNERDEAD;
  state_lock();
  struct child *child = child_find(reactor, token);
  int fd = -ESRCH;
  if (child && child->reaped && child->sources[WATCHED_PIDFD].fd >= 0) {
    fd = child->sources[WATCHED_PIDFD].fd;
    child->sources[WATCHED_PIDFD].fd = -1;
  }
  state_unlock();
  return fd;
}

/* No such child: it has exited, and somebody else waited for it. */
static int peek(int pidfd, int *status) {
  int result = status_of(pidfd, WEXITED | WNOHANG | WNOWAIT, status, NULL);
  if (result != -ECHILD) return result;
  if (status_recovered(pidfd, status) < 0) *status = 255;
  return 1;
}

int aiospawn_peek(struct aiospawn_reactor *reactor, uint64_t token, int *status) {
  if (reactor->dead) return -EOWNERDEAD;
  state_lock();
  struct child *child = child_find(reactor, token);
  int result = -ESRCH;
  if (child && child->reaped) {
    *status = child->status;
    result = 1;
  } else if (child && child->sources[WATCHED_PIDFD].fd >= 0) {
    result = peek(child->sources[WATCHED_PIDFD].fd, status);
  }
  state_unlock();
  return result;
}

int aiospawn_dup_pidfd(struct aiospawn_reactor *reactor, uint64_t token) {
  if (reactor->dead) return -EOWNERDEAD;
  state_lock();
  struct child *child = child_find(reactor, token);
  int fd = -1, error = -ESRCH;
  if (child && !child->reaped && child->sources[WATCHED_PIDFD].fd >= 0) {
    fd = fcntl(child->sources[WATCHED_PIDFD].fd, F_DUPFD_CLOEXEC, 3);
    error = -errno;
  }
  state_unlock();
  return fd < 0 ? error : fd;
}
