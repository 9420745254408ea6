/* The reactor's inside: its epoll set, its batch and its children; and the list of all reactors.
 *
 * Ownership. A reactor owns its epoll descriptor, its children and what they hold until it is closed, and the memory of its batch. All
 * of it is for the loop's thread, but for what state_lock.h guards. */
#ifndef AIOSPAWN_PARENT_REACTOR_H
#define AIOSPAWN_PARENT_REACTOR_H

#include <pthread.h>

#include "aiospawn.h"
#include "children.h"
#include "exit_status.h"
#include "lease.h"

enum {
  EVENTS = AIOSPAWN_BATCH_EVENTS,
  BATCH = EVENTS / 3,              /* epoll events a wake-up: 64 - 256 keep timers on time, 4096 made them 12 ms late */
  DATA = AIOSPAWN_BATCH_DATA
};

struct reactor_memory {
  struct aiospawn_event events[EVENTS];
  struct usage usage[EVENTS];
  uint64_t over[EVENTS];           /* tokens */
  unsigned char data[DATA];
};

struct aiospawn_reactor {
  struct aiospawn_batch batch;
  struct aiospawn_reactor *next;   /* all reactors, under the state lock; or those that were freed */
  struct reactor_memory *memory;
  struct children children;
  struct lease lease;
  struct child *prepared;          /* to be forked and adopted (forked_child.c), or NULL */
  pthread_t forker;                /* the thread that forks */
  int32_t gate[2];                 /* the pipe at which the child waits for that, its end first; -1: closed */
  uint32_t over_count;             /* children of the batch that are to be dropped when it is delivered */
  int32_t epoll;
  int32_t last_number;             /* of a descriptor that was made: about as many are open */
  uint8_t suspend;
  uint8_t dead;                    /* closed, or this process is a fork of its owner */
  uint8_t closed;
};

/* All reactors of the process, with the state lock held: a reactor's descriptor and its place in the list come and go together. */
void reactors_add(struct aiospawn_reactor *reactor);
void reactors_remove(struct aiospawn_reactor *reactor);
/* In the child of a fork: every reactor is dead, and what it held is closed. */
void reactors_after_fork(void);

#endif
