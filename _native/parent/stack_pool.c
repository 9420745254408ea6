#include "stack_pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fd_block.h"

enum {
  REQUEST_MEMORY = 64 * 1024,      /* arguments and environment of most launches; longer ones get a mapping of their own */
  KEPT = 64                        /* stacks kept for reuse: about as many as a busy process uses at a time */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct pooled_stack *unused;
static unsigned unused_count;
static struct pooled_stack *abandoned;

void stack_pool_lock(void) { pthread_mutex_lock(&lock); }
void stack_pool_unlock(void) { pthread_mutex_unlock(&lock); }

static size_t guard_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static void *map(size_t size) {
  void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

/* Guard page, stack, request memory; in this order, for a stack grows down. */
static struct pooled_stack *stack_make(void) {
  size_t guard = guard_size();
  struct pooled_stack *stack = calloc(1, sizeof *stack);
  if (!stack) return NULL;
  unsigned char *base = map(guard + STACK_SIZE + REQUEST_MEMORY);
  if (!base) {
    free(stack);
    return NULL;
  }
  if (mprotect(base, guard, PROT_NONE) == -1) {
    munmap(base, guard + STACK_SIZE + REQUEST_MEMORY);
    free(stack);
    return NULL;
  }
  stack->bottom = base + guard;
  stack->request = stack->bottom + STACK_SIZE;
  stack->request_size = REQUEST_MEMORY;
  return stack;
}

static void stack_free(struct pooled_stack *stack) {
  size_t guard = guard_size();
  munmap(stack->bottom - guard, guard + STACK_SIZE + REQUEST_MEMORY);
  free(stack);
}

/* The first abandoned stack whose child is gone, out of the list; NULL if none is. */
static struct pooled_stack *take_abandoned(void) {
  for (struct pooled_stack **link = &abandoned; *link; link = &(*link)->next) {
    struct pooled_stack *stack = *link;
    if (__atomic_load_n(&stack->launch.alive, __ATOMIC_ACQUIRE)) continue;
    *link = stack->next;
    fd_block_forget(&stack->launch);
    return stack;
  }
  return NULL;
}

static void drop_large(struct pooled_stack *stack) {
  if (stack->large) munmap(stack->large, stack->large_size);
  stack->large = NULL;
}

struct pooled_stack *stack_pool_take(size_t size, unsigned char **memory) {
  stack_pool_lock();
  struct pooled_stack *stack = unused;
  if (stack) {
    unused = stack->next;
    unused_count--;
  } else if ((stack = take_abandoned())) {
    drop_large(stack);
  }
  stack_pool_unlock();
  if (!stack) stack = stack_make();
  if (!stack) return NULL;
  *memory = stack->request;
  if (size > stack->request_size) {
    stack->large_size = size;
    *memory = stack->large = map(size);
    if (!stack->large) {
      stack_pool_give_back(stack);
      return NULL;
    }
  }
  return stack;
}

void stack_pool_give_back(struct pooled_stack *stack) {
  drop_large(stack);
  stack_pool_lock();
  int keep = unused_count < KEPT;
  if (keep) {
    stack->next = unused;
    unused = stack;
    unused_count++;
  }
  stack_pool_unlock();
  if (!keep) stack_free(stack);
}

void stack_pool_abandon(struct pooled_stack *stack) {
  stack_pool_lock();
  stack->next = abandoned;
  abandoned = stack;
  stack_pool_unlock();
}

void stack_pool_after_fork(void) {
  pthread_mutex_init(&lock, NULL);
  for (struct pooled_stack *stack = abandoned; stack; stack = stack->next) stack->launch.alive = 0;
}
