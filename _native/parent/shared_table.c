#include "shared_table.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "child/sys.h"
#include "descriptor.h"
#include "fd_block.h"
#include "monotonic.h"

/* How the child gets an inherited stream in a shared table. */
enum inheritance { CLOSED_HERE, DUPLICATED, AS_IT_IS, NOT_INHERITED };

/* Closing a duplicate of a file would drop the process's locks on it: the child takes it as it is. A lock on a device, a terminal
 * or a FIFO is rare, and looked for. */
static enum inheritance inheritance_of(int stream) {
  struct stat about;
  int flags = fcntl(stream, F_GETFD);
  if (flags == -1) return CLOSED_HERE;
  if (flags & FD_CLOEXEC || fstat(stream, &about) == -1) return NOT_INHERITED;
  if (S_ISREG(about.st_mode) || S_ISBLK(about.st_mode)) return AS_IT_IS;
  return descriptor_is_locked(stream) ? AS_IT_IS : DUPLICATED;
}

/* A segment with these descriptors, or FD_BLOCK_NONE. The launcher's number is shared as it is, so must lie below the block. */
static int take_segment(int lowest_new, int program, const int32_t *descriptors, unsigned inherited) {
  int segment = fd_block_take(lowest_new);
  if (segment == FD_BLOCK_NONE) return segment;
  if (program >= fd_block_number(0)) {
    fd_block_give_back(segment, NULL);
    return FD_BLOCK_NONE;
  }
  return fd_block_fill(segment, descriptors, inherited) ? segment : FD_BLOCK_NONE;
}

/* What goes onto the segment, by its numbers: the child's ends, and the inherited streams that are duplicated. */
struct contents {
  int32_t descriptors[FD_BLOCK_WIDTH]; /* -1: none */
  unsigned inherited;              /* by bit: the streams among them that are this process's own */
  int awaited;                     /* a stream is taken over as it is: the launch waits until the child has it */
};

/* 0: a stream is not for the child, so that it has to get a copy of the table. */
static int collect_contents(const struct child *child, unsigned inherits, struct contents *contents) {
  memcpy(contents->descriptors, child->ends, sizeof contents->descriptors);
  contents->inherited = 0;
  contents->awaited = 0;
  for (int stream = 0; stream < AIOSPAWN_STREAMS; stream++) {
    if (!(inherits >> stream & 1)) continue;
    enum inheritance how = inheritance_of(stream);
    if (how == NOT_INHERITED) return 0;
    contents->descriptors[stream] = how == DUPLICATED ? stream : -1;
    contents->inherited |= (unsigned)(how == DUPLICATED) << stream;
    contents->awaited |= how == AS_IT_IS;
  }
  return 1;
}

/* close_range was tried by a child that reported through shared memory (probe.c): where it is there, this parent sees what the
 * child writes. Not so under valgrind, whose clone is a fork. */
static int may_share(const struct child *child, const struct aiospawn_request *head) {
  if (!(head->flags & AIOSPAWN_MAY_SHARE_TABLE) || child->private_memory || child->by_memory) return 0;
  if (child->ends[AIOSPAWN_END_STATUS] < FD_BLOCK_THRESHOLD || !child->stack->launch.has_close_range) return 0;
  return head->top < AIOSPAWN_STREAMS; /* else a step could overwrite the segment's numbers */
}

void shared_table_enter(struct child *child, const struct aiospawn_request *head) {
  struct contents contents;
  struct launch *launch = &child->stack->launch;
  int lowest_new = child->ends[AIOSPAWN_END_STATUS];
  if (!may_share(child, head) || !collect_contents(child, head->inherits, &contents)) return;
  if (contents.awaited && lowest_new < FD_BLOCK_AWAITED_THRESHOLD) return;
  int segment = take_segment(lowest_new, launch->program, contents.descriptors, contents.inherited);
  if (segment == FD_BLOCK_NONE) return;
  fd_block_lend(segment, launch);
  child->segment = (int16_t)segment;
  child_close_ends(child);
  launch->segment = fd_block_number(segment);
  fd_block_range(&launch->block_first, &launch->block_beyond);
  launch->inherits = contents.inherited;
  launch->awaited = contents.awaited;
  for (int end = 0; end < AIOSPAWN_ENDS; end++)
    launch->ends[end] = contents.descriptors[end] >= 0 ? launch->segment + end : -1;
  launch->status = launch->ends[AIOSPAWN_END_STATUS];
}

void shared_table_list_siblings(struct launch *launch) {
  fd_block_filled(launch->siblings);
  fd_block_range(&launch->block_first, &launch->block_beyond);
}

/* A redirection of a stream after the launch must not be the child's. The kernel wakes a waiter for the word that it clears,
 * but not for a private one. A filter that forbids the child to wake us delays us. */
int shared_table_await(struct launch *launch) {
  enum { LONGEST_WAIT_NS = 1000000000 };
  static const struct timespec moment = {.tv_nsec = 10000000};
  int64_t deadline = monotonic_ns() + LONGEST_WAIT_NS;
  while (__atomic_load_n(&launch->alive, __ATOMIC_ACQUIRE) == ALIVE_IN_TABLE) {
    int32_t still = ALIVE_IN_TABLE;
    if (monotonic_ns() > deadline)
      return !__atomic_compare_exchange_n(&launch->alive, &still, GIVEN_UP, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    sys4(SYS_futex, (long)&launch->alive, FUTEX_WAIT, ALIVE_IN_TABLE, (long)&moment);
  }
  return 1;
}

static void keep(struct launch *launch, int number) { launch->siblings[number / 64] &= ~((uint64_t)1 << number % 64); }

void shared_table_spare_ends(struct launch *launch) {
  for (int end = 0; end < AIOSPAWN_ENDS; end++)
    if (launch->ends[end] >= 0) keep(launch, launch->ends[end] - launch->block_first);
}
