#include "atfork.h"

#include <pthread.h>

#include "aiospawn.h"
#include "fd_block.h"
#include "orphans.h"
#include "reactor.h"
#include "stack_pool.h"
#include "watcher.h"
#include "lock.h"

uint32_t aiospawn_generation;

static void prepare(void) {
  state_lock();
  slots_lock();
  landing_lock();
}

static void in_parent(void) {
  landing_unlock();
  slots_unlock();
  state_unlock();
}

static void in_child(void) {
  landing_after_fork();
  slots_after_fork();
  state_reset_lock();
  sources_after_fork();
  __atomic_add_fetch(&aiospawn_generation, 1, __ATOMIC_RELEASE);
  reactors_let_go();
  left_let_go();
}

static void install(void) { pthread_atfork(prepare, in_parent, in_child); }

void fork_handlers_install(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, install);
}
