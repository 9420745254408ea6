#include "stack_pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fd_block.h"

enum {
  ROOM = 64 * 1024,                /* arguments and environment of most launches; longer ones get a mapping of their own */
  KEPT = 64                        /* slots kept for reuse: about as many as are in flight in a busy process */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slot *unused;
static unsigned unused_count;
static struct slot *abandoned;

void slots_lock(void) { pthread_mutex_lock(&lock); }
void slots_unlock(void) { pthread_mutex_unlock(&lock); }

static size_t guard_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static void *map(size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

/* Guard page, stack, room; in this order, for a stack grows down. */
static struct slot *slot_make(void) {
  size_t guard = guard_size();
  struct slot *slot = calloc(1, sizeof *slot);
  if (!slot) return NULL;
  unsigned char *base = map(guard + SLOT_STACK + ROOM);
  if (!base) {
    free(slot);
    return NULL;
  }
  if (mprotect(base, guard, PROT_NONE) == -1) {
    munmap(base, guard + SLOT_STACK + ROOM);
    free(slot);
    return NULL;
  }
  slot->stack = base + guard;
  slot->room = slot->stack + SLOT_STACK;
  slot->room_size = ROOM;
  return slot;
}

static void slot_free(struct slot *slot) {
  size_t guard = guard_size();
  munmap(slot->stack - guard, guard + SLOT_STACK + ROOM);
  free(slot);
}

/* Takes the first abandoned slot whose child is gone; NULL if none is. */
static struct slot *take_abandoned(void) {
  for (struct slot **link = &abandoned; *link; link = &(*link)->next) {
    struct slot *slot = *link;
    if (__atomic_load_n(&slot->flight.alive, __ATOMIC_ACQUIRE)) continue;
    *link = slot->next;
    landing_forget(&slot->flight);
    return slot;
  }
  return NULL;
}

static void drop_large(struct slot *slot) {
  if (slot->large) munmap(slot->large, slot->large_size);
  slot->large = NULL;
}

struct slot *slot_acquire(size_t size, unsigned char **memory) {
  slots_lock();
  struct slot *slot = unused;
  if (slot) {
    unused = slot->next;
    unused_count--;
  } else if ((slot = take_abandoned())) {
    drop_large(slot);
  }
  slots_unlock();
  if (!slot) slot = slot_make();
  if (!slot) return NULL;
  *memory = slot->room;
  if (size > slot->room_size) {
    slot->large_size = size;
    *memory = slot->large = map(size);
    if (!slot->large) {
      slot_release(slot);
      return NULL;
    }
  }
  return slot;
}

void slot_release(struct slot *slot) {
  drop_large(slot);
  slots_lock();
  int keep = unused_count < KEPT;
  if (keep) {
    slot->next = unused;
    unused = slot;
    unused_count++;
  }
  slots_unlock();
  if (!keep) slot_free(slot);
}

void slot_abandon(struct slot *slot) {
  slots_lock();
  slot->next = abandoned;
  abandoned = slot;
  slots_unlock();
}

void slots_after_fork(void) {
  pthread_mutex_init(&lock, NULL);
  for (struct slot *slot = abandoned; slot; slot = slot->next) slot->flight.alive = 0;
}
