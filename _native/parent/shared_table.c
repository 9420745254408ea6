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

/* How the child comes by an inherited stream in a shared table. */
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

/* A landing slot with these descriptors, or LANDING_NONE. The launcher's number is shared as it is, so must lie below. */
static int take_slot(int lowest_new, int program, const int32_t *descriptors, unsigned inherited) {
  int slot = landing_take(lowest_new);
  if (slot == LANDING_NONE) return slot;
  if (program >= landing_first(0)) {
    landing_give_back(slot, NULL);
    return LANDING_NONE;
  }
  return landing_fill(slot, descriptors, inherited) ? slot : LANDING_NONE;
}

/* close_range was tried by a child that reported through shared memory (probe.c): where it is
 * there, this child's words reach us too. Not so under valgrind, whose clone is a fork. */
void shared_table_enter(struct child *child, const struct aiospawn_request *head) {
  int32_t descriptors[LANDING_WIDTH];
  struct flight *flight = &child->slot->flight;
  int lowest_new = child->far[AIOSPAWN_END_STATUS];
  if (!(head->flags & AIOSPAWN_MAY_SHARE_TABLE) || child->private_memory) return;
  if (lowest_new < LANDING_THRESHOLD || !flight->has_close_range) return;
  if (head->top >= AIOSPAWN_STREAMS) return; /* a step could overwrite a slot's numbers */
  memcpy(descriptors, child->far, sizeof descriptors);
  unsigned inherits = 0;
  int awaited = 0;
  for (int stream = 0; stream < AIOSPAWN_STREAMS; stream++) {
    if (!(head->inherits >> stream & 1)) continue;
    enum inheritance how = inheritance_of(stream);
    if (how == NOT_INHERITED) return;
    descriptors[stream] = how == DUPLICATED ? stream : -1;
    inherits |= (unsigned)(how == DUPLICATED) << stream;
    awaited |= how == AS_IT_IS;
  }
  if (awaited && lowest_new < LANDING_AWAITED_THRESHOLD) return;
  int slot = take_slot(lowest_new, flight->program, descriptors, inherits);
  if (slot == LANDING_NONE) return;
  landing_depart(slot, flight);
  child->landing = (int16_t)slot;
  child_close_ends(child);
  flight->landing = landing_first(slot);
  landing_block(&flight->landing_block, &flight->landing_beyond);
  flight->inherits = inherits;
  flight->awaited = awaited;
  for (int end = 0; end < AIOSPAWN_ENDS; end++) flight->ends[end] = descriptors[end] >= 0 ? flight->landing + end : -1;
  flight->status = flight->ends[AIOSPAWN_END_STATUS];
}

void shared_table_name_siblings(struct flight *flight) {
  landing_filled(flight->siblings);
  landing_block(&flight->landing_block, &flight->landing_beyond);
}

/* Who redirects a stream after the launch must not redirect the child's. The kernel wakes a waiter for the word that it clears,
 * but not for a private one. Whoever forbids the child to wake us delays us. */
int shared_table_await(struct flight *flight) {
  enum { PATIENCE_NS = 1000000000 };
  static const struct timespec moment = {.tv_nsec = 10000000};
  int64_t deadline = monotonic_ns() + PATIENCE_NS;
  while (__atomic_load_n(&flight->alive, __ATOMIC_ACQUIRE) == ALIVE_IN_TABLE) {
    int32_t still = ALIVE_IN_TABLE;
    if (monotonic_ns() > deadline)
      return !__atomic_compare_exchange_n(&flight->alive, &still, GIVEN_UP, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    sys4(SYS_futex, (long)&flight->alive, FUTEX_WAIT, ALIVE_IN_TABLE, (long)&moment);
  }
  return 1;
}

static void keep(struct flight *flight, int number) { flight->siblings[number / 64] &= ~((uint64_t)1 << number % 64); }

void shared_table_spare_ends(struct flight *flight) {
  for (int end = 0; end < AIOSPAWN_ENDS; end++)
    if (flight->ends[end] >= 0) keep(flight, flight->ends[end] - flight->landing_block);
}
