/* What Python asks of a reactor itself: to be opened and closed. For the thread that runs the loop. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "atfork.h"
#include "descriptor.h"
#include "orphans.h"
#include "reactor.h"
#include "state_lock.h"

/* Reactors that were freed, guarded by the state lock. They stay readable, closed as they are: in a cycle of garbage the interpreter
 * finalizes what frees a reactor and what closes it in any order. Their memory comes with them: fresh pages cost more than opening one. */
static struct aiospawn_reactor *spare;

static struct aiospawn_reactor *reactor_make(void) {
  struct reactor_memory *memory = malloc(sizeof *memory);
  struct aiospawn_reactor *reactor = memory ? calloc(1, sizeof *reactor) : NULL;
  if (!reactor) {
    free(memory);
    return NULL;
  }
  reactor->memory = memory;
  return reactor;
}

static struct aiospawn_reactor *reactor_acquire(void) {
  state_lock();
  struct aiospawn_reactor *reactor = spare;
  if (reactor) spare = reactor->next;
  state_unlock();
  if (!reactor) return reactor_make();
  *reactor = (struct aiospawn_reactor){.memory = reactor->memory};
  return reactor;
}

static void reactor_release(struct aiospawn_reactor *reactor) {
  state_lock();
  reactor->next = spare;
  spare = reactor;
  state_unlock();
}

/* Its descriptor and its place in the list come under one lock, so that a fork finds both or none. */
static int set_open(struct aiospawn_reactor *reactor) {
  state_lock();
  reactor->epoll = epoll_create1(EPOLL_CLOEXEC);
  /* Not 0, 1 or 2, in a parent without standard streams: libuv refuses to watch those. */
  int error = reactor->epoll == -1 ? -errno : descriptor_lift(&reactor->epoll, 3);
  if (error == 0) reactors_add(reactor);
  reactor->last_number = reactor->epoll;
  state_unlock();
  return error;
}

/* As they came: else a fork would close a number that may be another thread's by then. */
static void set_close(struct aiospawn_reactor *reactor) {
  state_lock();
  if (!reactor->dead) close(reactor->epoll);
  if (!reactor->dead) lease_close(&reactor->lease);
  reactors_remove(reactor);
  reactor->closed = reactor->dead = 1;
  state_unlock();
}

struct aiospawn_reactor *aiospawn_reactor_open(int suspend, int *error) {
  atfork_install();
  orphans_reap(ORPHANS_ALL);
  *error = -ENOMEM;
  struct aiospawn_reactor *reactor = reactor_acquire();
  if (!reactor) return NULL;
  reactor->suspend = suspend != 0;
  reactor->gate[0] = reactor->gate[1] = -1;
  reactor->batch.events = reactor->memory->events;
  reactor->batch.data = reactor->memory->data;
  reactor->batch.usage = (const unsigned char *)reactor->memory->usage;
  *error = set_open(reactor);
  if (*error == 0) return reactor;
  reactor_release(reactor);
  return NULL;
}

int aiospawn_reactor_epoll(const struct aiospawn_reactor *reactor) { return reactor->epoll; }

struct aiospawn_batch *aiospawn_reactor_batch(struct aiospawn_reactor *reactor) { return &reactor->batch; }

void aiospawn_reactor_close(struct aiospawn_reactor *reactor) {
  if (reactor->closed) return;
  aiospawn_fork_withdraw(reactor);
  if (!reactor->dead) children_close(&reactor->children);
  children_free(&reactor->children, reactor->dead);
  set_close(reactor);
  orphans_reap(ORPHANS_ALL);
  reactor->batch.head = reactor->batch.count = reactor->over_count = 0;
}

void aiospawn_reactor_free(struct aiospawn_reactor *reactor) {
  aiospawn_reactor_close(reactor);
  reactor_release(reactor);
}

int aiospawn_renew_lease(struct aiospawn_reactor *reactor) {
  if (reactor->dead) return -EOWNERDEAD;
  lease_renew(&reactor->lease);
  return 0;
}

int aiospawn_keep(struct aiospawn_reactor *reactor, uint64_t token) {
  if (reactor->dead) return -EOWNERDEAD;
  struct child *child = child_find(&reactor->children, token);
  if (!child) return -ESRCH;
  child->drops_at_end = 0;
  return 0;
}

int aiospawn_release(struct aiospawn_reactor *reactor, uint64_t token) {
  if (reactor->dead) return -EOWNERDEAD;
  struct child *child = child_find(&reactor->children, token);
  if (!child) return -ESRCH;
  child_drop(&reactor->children, child);
  return 0;
}
