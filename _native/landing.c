#include "landing.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys.h"

enum {
  BLOCK = LANDING_SLOTS * LANDING_WIDTH,
  THRESHOLD = 256,                 /* below it the copy costs less than the duplicating */
  LOWEST_START = 64,               /* the numbers below are for programs that know them by heart */
  HIGHEST_START = 4096,
  LARGE_LIMIT = 4096,              /* a table below it is copied in 20 us at the most */
  LARGEST_TABLE = 65536
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int first = -1;             /* the block's first number; -1: there is none */
static int grown;                  /* the table */
static int refused;                /* it cannot be had: not tried again */
static int placeholder = -1;
static struct stat identity;
static const int32_t *departed[LANDING_SLOTS]; /* of the child in flight */
static uint8_t busy[LANDING_SLOTS];

void landing_lock(void) { pthread_mutex_lock(&lock); }
void landing_unlock(void) { pthread_mutex_unlock(&lock); }

/* ---- the block ----------------------------------------------------------------------------------------------------- */

static int is_free(int number) { return fcntl(number, F_GETFD) == -1 && errno == EBADF; }

static int is_placeholder(int number) {
  struct stat now;
  return fstat(number, &now) == 0 && now.st_dev == identity.st_dev && now.st_ino == identity.st_ino;
}

static int find_block(void) {
  for (int start = LOWEST_START; start <= HIGHEST_START; start += BLOCK) {
    int number = start;
    while (number < start + BLOCK && is_free(number)) number++;
    if (number == start + BLOCK) return start;
  }
  return -1;
}

static void grow_table(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == -1) return;
  int last = limit.rlim_cur < LARGEST_TABLE ? (int)limit.rlim_cur - 1 : LARGEST_TABLE - 1;
  int high = fcntl(placeholder, F_DUPFD_CLOEXEC, last);
  if (high >= 0) close(high);
}

static int put_placeholder(int number) { return dup3(placeholder, number, O_CLOEXEC); }

static int reserve(void) {
  if (placeholder == -1) placeholder = memfd_create("aiospawn", MFD_CLOEXEC);
  if (placeholder == -1 || fstat(placeholder, &identity) == -1) return 0;
  int start = find_block();
  if (start == -1) return 0;
  for (int number = start; number < start + BLOCK; number++) {
    if (put_placeholder(number) != -1) continue;
    while (number-- > start) close(number);
    return 0;
  }
  first = start;
  return 1;
}

/* A program that may have thousands of descriptors may have them before its first launch: then the low numbers are gone. */
void aiospawn_landing_reserve(void) {
  struct rlimit limit;
  landing_lock();
  if (first == -1 && getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= LARGE_LIMIT) reserve();
  landing_unlock();
}

/* Somebody closed or replaced our numbers: what is there now is not ours to touch. */
static void drop_block(void) {
  first = -1;
  refused = 1;
}

/* ---- slots --------------------------------------------------------------------------------------------------------- */

static void give_back(int slot) {
  busy[slot] = 0;
  departed[slot] = NULL;
  if (first == -1) return;
  int number = first + slot * LANDING_WIDTH;
  for (int i = 0; i < LANDING_WIDTH; i++) put_placeholder(number + i);
}

static int find_free(void) {
  for (int slot = 0; slot < LANDING_SLOTS; slot++)
    if (!busy[slot]) return slot;
  for (int slot = 0; slot < LANDING_SLOTS; slot++) {
    if (!departed[slot] || !__atomic_load_n(departed[slot], __ATOMIC_ACQUIRE)) continue;
    give_back(slot);
    return slot;
  }
  return LANDING_NONE;
}

int landing_take(int lowest_new) {
  int slot = LANDING_NONE;
  landing_lock();
  if (lowest_new >= THRESHOLD && first == -1 && !refused) refused = !reserve();
  if (lowest_new >= THRESHOLD && first != -1) {
    if (!grown) grow_table();
    grown = 1;
    slot = find_free();
  }
  if (slot != LANDING_NONE) busy[slot] = 1;
  landing_unlock();
  return slot;
}

int landing_fill(int slot, const int32_t *descriptors) {
  int number = landing_first(slot), error = 0;
  landing_lock();
  for (int i = 0; i < LANDING_WIDTH && !error; i++) {
    if (!is_placeholder(number + i)) {
      drop_block();
      error = -EBADF;
    } else if (descriptors[i] >= 0 && dup3(descriptors[i], number + i, O_CLOEXEC) == -1) {
      error = -errno;
    }
  }
  landing_unlock();
  return error;
}

int landing_first(int slot) { return first + slot * LANDING_WIDTH; }

void landing_block(int *start, int *beyond) {
  *start = first;
  *beyond = first + BLOCK;
}

void landing_depart(int slot, const int32_t *left) {
  landing_lock();
  departed[slot] = left;
  landing_unlock();
}

void landing_give_back(int slot, const int32_t *left) {
  landing_lock();
  if (busy[slot] && departed[slot] == left) give_back(slot);
  landing_unlock();
}

void landing_forget(void) {
  pthread_mutex_init(&lock, NULL);
  if (first != -1)
    for (int number = first; number < first + BLOCK; number++) close(number);
  if (placeholder != -1) close(placeholder);
  first = placeholder = -1;
  refused = grown = 0;
  for (int slot = 0; slot < LANDING_SLOTS; slot++) {
    busy[slot] = 0;
    departed[slot] = NULL;
  }
}
