/* One wake-up of a loop: the batch that it fills, and what it has to remember until the batch is whole.
 *
 * It lies on the stack of aiospawn_poll(). The events and the data it adds are the reactor's, until the next wake-up. */
#ifndef AIOSPAWN_PARENT_WAKEUP_H
#define AIOSPAWN_PARENT_WAKEUP_H

#include "reactor.h"

struct wakeup {
  struct aiospawn_reactor *reactor;
  uint32_t data_used;
  uint32_t share;                  /* bytes that each ready pipe may fill */
  uint32_t ended_count;
  struct { struct watched_fd *watched; int error; } ended[BATCH]; /* the pipes of the batch that have no more to give */
};

/* Adds an event; the rest of it is the caller's to fill in. */
struct aiospawn_event *wakeup_add(struct wakeup *wakeup, const struct child *child, uint32_t kind, uint32_t stream);

#endif
