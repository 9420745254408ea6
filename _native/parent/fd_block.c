#include "fd_block.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "descriptor.h"
#include "monotonic.h"

/* What is reserved is copied and closed again in every child of a process that has few descriptors: 256 numbers cost it 20 us.
 * With 25 segments, hardly one of 64 launches at a time finds none. */
enum {
  BLOCK = 64 * FD_BLOCK_WORDS,
  SEGMENTS = BLOCK / FD_BLOCK_WIDTH,
  LOWEST_START = 64,               /* the numbers below are for programs with fixed numbers of their own */
  HIGHEST_START = 4096,
  LARGE_LIMIT = 4096,              /* a table below it is copied in 20 us at the most */
  LARGEST_TABLE = 65536,
  COPY_NS = 50                     /* what a descriptor's copy may cost; waiting for a segment must not cost more */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int first = -1;             /* the block's first number; -1: there is none */
static int in_use;                 /* a launch has shared the table: it was grown before, and the block was asked for */
static int lost;                   /* a number was: no more is taken, but the segments in use are to be given back */
static int placeholder = -1;
static struct stat identity;

static struct segment {
  const struct launch *launch;     /* of the child that uses it, or NULL */
  uint8_t busy;
  uint8_t filled;                  /* by bit: the numbers that hold a child's end */
  uint8_t inherited;               /* and those of them that are streams of this process */
  struct { dev_t device; ino_t file; } put[FD_BLOCK_WIDTH];
} segments[SEGMENTS];

static const struct launch gone = {.left_table = 1}; /* for a segment that outlives its child's launch */

void fd_block_lock(void) { pthread_mutex_lock(&lock); }
void fd_block_unlock(void) { pthread_mutex_unlock(&lock); }

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
  if (placeholder == -1) placeholder = (int)syscall(SYS_memfd_create, "aiospawn", MFD_CLOEXEC);
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
void aiospawn_fd_block_reserve(void) {
  struct rlimit limit;
  fd_block_lock();
  if (first == -1 && getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= LARGE_LIMIT) reserve();
  fd_block_unlock();
}

/* How many descriptors the launches of this process have met. */
static enum { UNDECIDED, FEW, MANY } found;

static void release(void) {
  for (int number = first; number < first + BLOCK; number++)
    if (is_placeholder(number)) close(number);
  if (is_placeholder(placeholder)) close(placeholder);
  placeholder = first = -1;
}

/* Once each way: a process that has had many may have them again. */
static void decide(int few) {
  fd_block_lock();
  if (few && found == UNDECIDED && first != -1 && !in_use) release();
  if (found != MANY) __atomic_store_n(&found, few ? FEW : MANY, __ATOMIC_RELAXED);
  fd_block_unlock();
  if (!few) aiospawn_fd_block_reserve();
}

void fd_block_fit(int number) {
  int few = number < FD_BLOCK_NEAR, before = __atomic_load_n(&found, __ATOMIC_RELAXED);
  if (before != MANY && before != (few ? FEW : MANY)) decide(few);
}

/* ---- segments ------------------------------------------------------------------------------------------------------ */

int fd_block_number(int segment) { return first + segment * FD_BLOCK_WIDTH; }

void fd_block_range(int *start, int *beyond) {
  *start = first;
  *beyond = first + BLOCK;
}

/* The program may have closed one of the numbers and have a file of its own there now. Where that cannot be found out it has not. */
static int still_holds(int segment, int i) {
  struct stat now;
  if (fstat(fd_block_number(segment) + i, &now) == -1) return errno != EBADF;
  return now.st_dev == segments[segment].put[i].device && now.st_ino == segments[segment].put[i].file;
}

static int holds_a_lock(int segment) {
  for (int i = 0; i < FD_BLOCK_WIDTH; i++)
    if (segments[segment].inherited >> i & 1 && descriptor_is_locked(fd_block_number(segment) + i)) return 1;
  return 0;
}

/* What is on the numbers must be closed, or it would hold back the end of a pipe: also when RLIMIT_NOFILE is below them now. */
static void clear(int segment) {
  if (!is_placeholder(placeholder)) lost = 1;
  for (int i = 0; i < FD_BLOCK_WIDTH; i++) {
    int number = fd_block_number(segment) + i;
    if (!(segments[segment].filled >> i & 1)) continue;
    if (!still_holds(segment, i)) {
      lost = 1;
    } else if (lost || put_placeholder(number) == -1) {
      lost = 1;
      close(number);
    }
  }
  segments[segment] = (struct segment){0};
}

/* Once the child has left the table. Not while the program has a lock on a stream: it would be dropped with the duplicate. */
static int give_back(int segment) {
  segments[segment].launch = &gone;
  if (holds_a_lock(segment)) return 0;
  clear(segment);
  return 1;
}

/* The kernel clears `alive` when a child ends before its execve, before it drops the table: it touches no descriptor any more. */
static int has_left_table(const struct launch *launch) {
  return __atomic_load_n(&launch->left_table, __ATOMIC_ACQUIRE) || !__atomic_load_n(&launch->alive, __ATOMIC_ACQUIRE);
}

static int can_be_had(int segment) {
  if (!segments[segment].busy) return 1;
  return segments[segment].launch && has_left_table(segments[segment].launch) && give_back(segment);
}

static int find_free(void) {
  for (int segment = 0; segment < SEGMENTS; segment++)
    if (!segments[segment].busy) return segment;
  for (int segment = 0; segment < SEGMENTS; segment++)
    if (can_be_had(segment)) return segment;
  return FD_BLOCK_NONE;
}

/* *wait: one may get free. */
static int try_to_take(int *wait) {
  int segment = FD_BLOCK_NONE;
  fd_block_lock();
  if (!in_use) {
    if (first == -1) reserve();
    if (first != -1) grow_table();
    in_use = 1;
  }
  if (first != -1 && !lost) segment = find_free();
  if (segment != FD_BLOCK_NONE) segments[segment].busy = 1;
  *wait = segment == FD_BLOCK_NONE && first != -1 && !lost;
  fd_block_unlock();
  return segment;
}

/* Where all segments are taken it is by children that wait for a processor: they are given ours. */
int fd_block_take(int lowest_new) {
  int wait, segment = try_to_take(&wait);
  if (!wait) return segment;
  int64_t deadline = monotonic_ns() + (int64_t)lowest_new * COPY_NS;
  do {
    sched_yield();
    segment = try_to_take(&wait);
  } while (wait && monotonic_ns() < deadline);
  return segment;
}

/* Not where the program has closed or replaced a number: what is there now is not ours to touch, nor are the others to use. */
static int put(int descriptor, int segment, int i) {
  int number = fd_block_number(segment) + i;
  struct stat about;
  if (!is_placeholder(number) || fstat(descriptor, &about) == -1 || dup3(descriptor, number, O_CLOEXEC) == -1) return 0;
  segments[segment].put[i].device = about.st_dev;
  segments[segment].put[i].file = about.st_ino;
  return 1;
}

int fd_block_fill(int segment, const int32_t *descriptors, unsigned inherited) {
  fd_block_lock();
  segments[segment].inherited = (uint8_t)inherited;
  for (int i = 0; i < FD_BLOCK_WIDTH && !lost; i++) {
    if (descriptors[i] < 0) continue;
    if (put(descriptors[i], segment, i)) segments[segment].filled |= (uint8_t)(1u << i);
    else lost = 1;
  }
  int done = !lost;
  if (!done) clear(segment);
  fd_block_unlock();
  return done;
}

void fd_block_lend(int segment, const struct launch *launch) {
  fd_block_lock();
  segments[segment].launch = launch;
  fd_block_unlock();
}

void fd_block_give_back(int segment, const struct launch *launch) {
  fd_block_lock();
  if (segments[segment].busy && segments[segment].launch == launch) give_back(segment);
  fd_block_unlock();
}

void fd_block_forget(const struct launch *launch) {
  fd_block_lock();
  for (int segment = 0; segment < SEGMENTS; segment++)
    if (segments[segment].launch == launch) give_back(segment);
  fd_block_unlock();
}

static void sweep(void) {
  for (int segment = 0; segment < SEGMENTS; segment++) can_be_had(segment);
}

void fd_block_collect(void) {
  fd_block_lock();
  sweep();
  fd_block_unlock();
}

void fd_block_filled(uint64_t filled[FD_BLOCK_WORDS]) {
  fd_block_lock();
  if (in_use) sweep();
  for (int segment = 0; in_use && segment < SEGMENTS; segment++) {
    uint64_t bits = segments[segment].filled; /* most often none */
    for (int number = segment * FD_BLOCK_WIDTH; bits; number++, bits >>= 1) filled[number / 64] |= (bits & 1) << number % 64;
  }
  fd_block_unlock();
}

/* The numbers are as good here as in the parent, and so are its locks: closing here drops none. This process must not hold the
 * ends of its parent's children. */
void fd_block_after_fork(void) {
  pthread_mutex_init(&lock, NULL);
  in_use = 0;
  for (int segment = 0; segment < SEGMENTS; segment++)
    if (segments[segment].busy) clear(segment);
}
