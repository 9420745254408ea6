#include "fd_block.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "descriptor.h"
#include "monotonic.h"

/* What is reserved is copied and closed again in every child of a process that has few descriptors: 256 numbers cost it 20 us.
 * With 25 slots, of 64 launches at a time hardly one finds none. */
enum {
  BLOCK = 64 * LANDING_WORDS,
  SLOTS = BLOCK / LANDING_WIDTH,
  LOWEST_START = 64,               /* the numbers below are for programs that know them by heart */
  HIGHEST_START = 4096,
  LARGE_LIMIT = 4096,              /* a table below it is copied in 20 us at the most */
  LARGEST_TABLE = 65536,
  COPY_NS = 50                     /* what a descriptor's copy may cost; waiting for a slot must not cost more */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int first = -1;             /* the block's first number; -1: there is none */
static int in_use;                 /* a launch has shared the table: it was grown before, and the block was asked for */
static int lost;                   /* a number was: no more launches, but those in flight are to be given back */
static int placeholder = -1;
static struct stat identity;

static struct block_slot {
  const struct flight *flight;     /* of the child on its way, or NULL */
  uint8_t busy;
  uint8_t filled;                  /* by bit: the numbers that hold a child's end */
  uint8_t inherited;               /* and those of them that are the program's own streams */
  struct { dev_t device; ino_t file; } put[LANDING_WIDTH];
} block[SLOTS];

static const struct flight gone = {.left = 1}; /* for a slot that outlives its child's flight */

void landing_lock(void) { pthread_mutex_lock(&lock); }
void landing_unlock(void) { pthread_mutex_unlock(&lock); }

/* ---- the numbers --------------------------------------------------------------------------------------------------- */

static int is_placeholder(int number) {
  struct stat now;
  return fstat(number, &now) == 0 && now.st_dev == identity.st_dev && now.st_ino == identity.st_ino;
}

static int put_placeholder(int number) { return dup3(placeholder, number, O_CLOEXEC); }

/* Each number is asked for, not taken: another thread may be given it at the same time. Where the block is not free, the
 * first number that can be had behind the gap, or -1. */
static int claim(int start) {
  int number = start, got = -1;
  while (number < start + BLOCK && (got = fcntl(placeholder, F_DUPFD_CLOEXEC, number)) == number) number++;
  if (number == start + BLOCK) return start;
  if (got >= 0) close(got);
  while (number-- > start) close(number);
  return got;
}

static void reserve(void) {
  if (placeholder == -1) placeholder = memfd_create("aiospawn", MFD_CLOEXEC);
  if (placeholder == -1 || descriptor_lift(&placeholder, 3) < 0 || fstat(placeholder, &identity) == -1) return;
  for (int start = LOWEST_START; first == -1 && start <= HIGHEST_START; start += BLOCK) {
    int got = claim(start);
    if (got == start) first = start;
    else if (got == -1) return;
  }
}

static void grow_table(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == -1) return;
  int last = limit.rlim_cur < LARGEST_TABLE ? (int)limit.rlim_cur - 1 : LARGEST_TABLE - 1;
  int high = fcntl(placeholder, F_DUPFD_CLOEXEC, last);
  if (high >= 0) close(high);
}

/* A program that may have thousands of descriptors may have them before its first launch: then the low numbers are gone. */
void aiospawn_landing_reserve(void) {
  struct rlimit limit;
  landing_lock();
  if (first == -1 && getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= LARGE_LIMIT) reserve();
  landing_unlock();
}

/* ---- slots --------------------------------------------------------------------------------------------------------- */

int landing_first(int slot) { return first + slot * LANDING_WIDTH; }

void landing_block(int *start, int *beyond) {
  *start = first;
  *beyond = first + BLOCK;
}

/* The program may have closed a number of ours and have a file of its own there now. Where that cannot be found out it has not. */
static int still_holds(int slot, int i) {
  struct stat now;
  if (fstat(landing_first(slot) + i, &now) == -1) return errno != EBADF;
  return now.st_dev == block[slot].put[i].device && now.st_ino == block[slot].put[i].file;
}

static int holds_a_lock(int slot) {
  for (int i = 0; i < LANDING_WIDTH; i++)
    if (block[slot].inherited >> i & 1 && descriptor_is_locked(landing_first(slot) + i)) return 1;
  return 0;
}

/* What is on the numbers must go, or it would hold back the end of a pipe: also when RLIMIT_NOFILE has sunk below them. */
static void clear(int slot) {
  if (!is_placeholder(placeholder)) lost = 1;
  for (int i = 0; i < LANDING_WIDTH; i++) {
    int number = landing_first(slot) + i;
    if (!(block[slot].filled >> i & 1)) continue;
    if (!still_holds(slot, i)) {
      lost = 1;
    } else if (lost || put_placeholder(number) == -1) {
      lost = 1;
      close(number);
    }
  }
  block[slot] = (struct block_slot){0};
}

/* The child has left. A lock that the program has taken meanwhile on a stream would be dropped with the duplicate: later. */
static int give_back(int slot) {
  block[slot].flight = &gone;
  if (holds_a_lock(slot)) return 0;
  clear(slot);
  return 1;
}

/* The kernel clears `alive` when a child ends on its way, before it drops the table: it touches no descriptor any more. */
static int has_left(const struct flight *flight) {
  return __atomic_load_n(&flight->left, __ATOMIC_ACQUIRE) || !__atomic_load_n(&flight->alive, __ATOMIC_ACQUIRE);
}

static int can_be_had(int slot) {
  if (!block[slot].busy) return 1;
  return block[slot].flight && has_left(block[slot].flight) && give_back(slot);
}

static int find_free(void) {
  for (int slot = 0; slot < SLOTS; slot++)
    if (!block[slot].busy) return slot;
  for (int slot = 0; slot < SLOTS; slot++)
    if (can_be_had(slot)) return slot;
  return LANDING_NONE;
}

/* *wait: one may get free. */
static int try_to_take(int *wait) {
  int slot = LANDING_NONE;
  landing_lock();
  if (!in_use) {
    if (first == -1) reserve();
    if (first != -1) grow_table();
    in_use = 1;
  }
  if (first != -1 && !lost) slot = find_free();
  if (slot != LANDING_NONE) block[slot].busy = 1;
  *wait = slot == LANDING_NONE && first != -1 && !lost;
  landing_unlock();
  return slot;
}

/* Where all slots are taken it is by children that wait for a processor: they are given ours. */
int landing_take(int lowest_new) {
  int wait, slot = try_to_take(&wait);
  if (!wait) return slot;
  int64_t deadline = monotonic_ns() + (int64_t)lowest_new * COPY_NS;
  do {
    sched_yield();
    slot = try_to_take(&wait);
  } while (wait && monotonic_ns() < deadline);
  return slot;
}

/* Not where somebody closed or replaced our numbers: what is there now is not ours to touch, nor are the others to use. */
static int put(int descriptor, int slot, int i) {
  int number = landing_first(slot) + i;
  struct stat about;
  if (!is_placeholder(number) || fstat(descriptor, &about) == -1 || dup3(descriptor, number, O_CLOEXEC) == -1) return 0;
  block[slot].put[i].device = about.st_dev;
  block[slot].put[i].file = about.st_ino;
  return 1;
}

int landing_fill(int slot, const int32_t *descriptors, unsigned inherited) {
  landing_lock();
  block[slot].inherited = (uint8_t)inherited;
  for (int i = 0; i < LANDING_WIDTH && !lost; i++) {
    if (descriptors[i] < 0) continue;
    if (put(descriptors[i], slot, i)) block[slot].filled |= (uint8_t)(1u << i);
    else lost = 1;
  }
  int done = !lost;
  if (!done) clear(slot);
  landing_unlock();
  return done;
}

void landing_depart(int slot, const struct flight *flight) {
  landing_lock();
  block[slot].flight = flight;
  landing_unlock();
}

void landing_give_back(int slot, const struct flight *flight) {
  landing_lock();
  if (block[slot].busy && block[slot].flight == flight) give_back(slot);
  landing_unlock();
}

void landing_forget(const struct flight *flight) {
  landing_lock();
  for (int slot = 0; slot < SLOTS; slot++)
    if (block[slot].flight == flight) give_back(slot);
  landing_unlock();
}

static void sweep(void) {
  for (int slot = 0; slot < SLOTS; slot++) can_be_had(slot);
}

void landing_sweep(void) {
  landing_lock();
  sweep();
  landing_unlock();
}

void landing_filled(uint64_t filled[LANDING_WORDS]) {
  landing_lock();
  if (in_use) sweep();
  for (int number = 0; in_use && number < SLOTS * LANDING_WIDTH; number++) {
    uint64_t bit = block[number / LANDING_WIDTH].filled >> number % LANDING_WIDTH & 1;
    filled[number / 64] |= bit << number % 64;
  }
  landing_unlock();
}

/* The numbers are as good here as in the parent, and so are its locks: closing here drops none. The ends of its children in
 * flight are not for us to hold. */
void landing_after_fork(void) {
  pthread_mutex_init(&lock, NULL);
  in_use = 0;
  for (int slot = 0; slot < SLOTS; slot++)
    if (block[slot].busy) clear(slot);
}
