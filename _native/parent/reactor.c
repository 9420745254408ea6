#include "reactor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "descriptor.h"
#include "atfork.h"
#include "orphans.h"
#include "lock.h"

static struct aiospawn_reactor *reactors;
static struct reactor_memory *spare_memory;

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

/* Its descriptor and its place in the list come under one lock, so that a fork finds both or none. */
static int set_open(struct aiospawn_reactor *reactor) {
  state_lock();
  reactor->epoll = epoll_create1(EPOLL_CLOEXEC);
  /* Not 0, 1 or 2, in a parent without standard streams: libuv refuses to watch those. */
  int error = reactor->epoll == -1 ? -errno : descriptor_lift(&reactor->epoll, 3);
  if (error == 0) {
    reactor->next = reactors;
    reactors = reactor;
  }
  state_unlock();
  return error;
}

/* As they came: else a fork would close a number that may be another thread's by then. */
static void set_close(struct aiospawn_reactor *reactor) {
  state_lock();
  if (!reactor->dead) close(reactor->epoll);
  struct aiospawn_reactor **link = &reactors;
  while (*link != reactor) link = &(*link)->next;
  *link = reactor->next;
  reactor->closed = reactor->dead = 1;
  state_unlock();
}

struct aiospawn_reactor *aiospawn_reactor_open(int suspend, int *error) {
  fork_handlers_install();
  left_reap(LEFT_ALL);
  *error = -ENOMEM;
  struct aiospawn_reactor *reactor = calloc(1, sizeof *reactor);
  if (!reactor) return NULL;
  reactor->memory = memory_acquire();
  if (!reactor->memory) goto free_reactor;
  reactor->suspend = suspend != 0;
  reactor->gate[0] = reactor->gate[1] = -1;
  reactor->batch.events = reactor->memory->events;
  reactor->batch.data = reactor->memory->data;
  reactor->batch.usage = (const unsigned char *)reactor->memory->usage;
  *error = set_open(reactor);
  if (*error < 0) goto release_memory;
  return reactor;
release_memory:
  memory_release(reactor->memory);
free_reactor:
  free(reactor);
  return NULL;
}

int aiospawn_reactor_epoll(const struct aiospawn_reactor *reactor) { return reactor->epoll; }

struct aiospawn_batch *aiospawn_reactor_batch(struct aiospawn_reactor *reactor) { return &reactor->batch; }

void aiospawn_reactor_close(struct aiospawn_reactor *reactor) {
  if (reactor->closed) return;
  aiospawn_fork_withdraw(reactor);
  children_close(reactor);
  set_close(reactor);
  left_reap(LEFT_ALL);
  reactor->batch.head = reactor->batch.count = 0;
}

void aiospawn_reactor_free(struct aiospawn_reactor *reactor) {
  aiospawn_reactor_close(reactor);
  memory_release(reactor->memory);
  free(reactor);
}

void reactors_let_go(void) {
  int placeholder = reactors ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
  for (struct aiospawn_reactor *reactor = reactors; reactor; reactor = reactor->next) {
    if (reactor->dead) continue;
    int forked = reactor->prepared && pthread_equal(reactor->forker, pthread_self()); /* this is the child of that */
    reactor->dead = 1;
    close(reactor->epoll);
    children_let_go(&reactor->children, forked ? reactor->prepared : NULL, placeholder);
    for (int i = 0; i < 2 && !forked; i++)
      if (reactor->gate[i] >= 0) close(reactor->gate[i]);
  }
  if (placeholder >= 0) close(placeholder);
}
