#include "atfork.h"

#include <pthread.h>

#include "aiospawn.h"
#include "fd_block.h"
#include "orphans.h"
#include "reactor.h"
#include "stack_pool.h"
#include "state_lock.h"
#include "watched_fd.h"

uint32_t aiospawn_generation;

static void prepare(void) {
  state_lock();
  stack_pool_lock();
  fd_block_lock();
}

static void in_parent(void) {
  fd_block_unlock();
  stack_pool_unlock();
  state_unlock();
}

static void in_child(void) {
  fd_block_after_fork();
  stack_pool_after_fork();
  state_lock_reset();
  watched_fds_after_fork();
  __atomic_add_fetch(&aiospawn_generation, 1, __ATOMIC_RELEASE);
  reactors_after_fork();
  orphans_after_fork();
}

static void install(void) { pthread_atfork(prepare, in_parent, in_child); }

void atfork_install(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, install);
}
