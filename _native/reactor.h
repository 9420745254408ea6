/* The reactor's inside: the table of children and who may touch what. Shared by reactor.c, spawn.c and drain.c. */
#ifndef AIOSPAWN_REACTOR_H
#define AIOSPAWN_REACTOR_H

#include <sys/resource.h>

#include "aiospawn.h"
#include "landing.h"
#include "slots.h"

enum {
  EVENTS = AIOSPAWN_BATCH_EVENTS,
  BATCH = EVENTS / 3,              /* epoll events a drain: 64 - 256 keep timers on time, 4096 made them 12 ms late */
  DATA = AIOSPAWN_BATCH_DATA
};

enum watched { WATCHED_STREAM, WATCHED_STATUS = AIOSPAWN_STREAMS, WATCHED_PIDFD, WATCHED };

struct child;

/* One descriptor of a child, and its entry in the epoll set. The epoll data points here: children are freed only between
 * drains, after their entries were deleted, so no event can outlive what it points to. */
struct source {
  struct child *child;
  int32_t fd;                      /* -1: closed. Changed only under the state lock */
  uint8_t index;                   /* enum watched; below WATCHED_STATUS the stream */
  uint8_t added;                   /* in the epoll set */
  uint8_t disowned;                /* the owner closes it */
  uint8_t terminal;                /* the parent's end of a pseudo terminal */
  uint8_t parked;                  /* ready before its child is known to have started: back in the set then */
  uint8_t sized;                   /* its capacity is settled */
  uint8_t enlarged;                /* by source_enlarge, and counted */
  uint32_t mask;
};

enum launch_state { LAUNCHING, UNSURE, FAILING, STARTED };

struct child {
  uint64_t token;
  int32_t pid;
  uint8_t state;                   /* enum launch_state; UNSURE: the status pipe ended with the child gone */
  uint8_t reaped;
  uint8_t private_memory;          /* cloned without CLONE_VM */
  uint8_t via_launcher;
  uint8_t launcher_alive;          /* it has said so */
  int16_t landing;                 /* its landing slot, or LANDING_NONE */
  int32_t status;                  /* once it is reaped: as in AIOSPAWN_EXITED, which may not be delivered yet */
  uint8_t keep_pidfd;              /* open until it is taken or the child is dropped */
  struct slot *slot;               /* while the child is in our memory */
  struct failure failure;          /* while FAILING */
  int32_t far[AIOSPAWN_ENDS];      /* the child's ends, until they are its own */
  struct source sources[WATCHED];
};

struct reactor_memory {            /* pooled for the process: fresh pages cost more than opening a reactor */
  struct reactor_memory *next;
  struct aiospawn_event events[EVENTS];
  struct rusage usage[EVENTS];
  unsigned char data[DATA];
};

struct aiospawn_reactor {
  struct aiospawn_batch batch;
  struct aiospawn_reactor *next;   /* all reactors, under the state lock */
  struct reactor_memory *memory;
  struct child **children;         /* by the token's low half */
  uint32_t capacity;
  uint32_t *free_places;
  uint32_t free_count;
  uint32_t counter;                /* the token's high half */
  int32_t epoll;
  uint8_t suspend;
  uint8_t dead;                    /* closed, or this process is a fork of its owner */
  uint8_t closed;
};

/* The state lock guards: the list of reactors, the tables, every `fd`. Held for short stretches without waiting. */
void state_lock(void);
void state_unlock(void);

/* A zeroed child with a token and sources of descriptor -1, entered in the table; NULL: out of memory. */
struct child *child_enter(struct aiospawn_reactor *reactor);
/* The child of a token, or NULL. On the loop's thread, or with the state lock held. */
struct child *child_find(const struct aiospawn_reactor *reactor, uint64_t token);
/* It is in our memory, and in our descriptor table, no more. */
void child_leave_memory(struct child *child);
void child_leave_table(struct child *child);
/* Closes what it holds, frees it. The slot is released, or abandoned where the child may still be in it. */
void child_drop(struct aiospawn_reactor *reactor, struct child *child);

/* Puts the source into the set, changes its mask, or takes it out (mask NO_MASK). 0 or a negated errno. */
int source_watch(const struct aiospawn_reactor *reactor, struct source *source, uint32_t mask);
/* Makes a pipe that was found full larger, once. Its capacity counts against the user's limit (pipe(7)), so not from the start. */
void source_enlarge(struct source *source);
/* Out of the set, then closed unless disowned: an entry would survive the close while another process has the file. */
void source_close(const struct aiospawn_reactor *reactor, struct source *source);
/* The same, but that a terminal stays open as long as its child lives. */
void source_shut(const struct aiospawn_reactor *reactor, struct source *source);

#define NO_MASK UINT32_MAX

#endif
