/* A descriptor of a child that the reactor watches: a pipe end of the parent's, the status pipe, the pidfd. Or only keeps: the
 * socket of its init.
 *
 * The source owns its descriptor, until that is disowned: then its owner closes it, after source_close() has taken it out of
 * the set. */
#ifndef AIOSPAWN_SOURCE_H
#define AIOSPAWN_SOURCE_H

#include "aiospawn.h"

enum watched { WATCHED_STREAM, WATCHED_STATUS = AIOSPAWN_STREAMS, WATCHED_PIDFD, WATCHED_INIT, WATCHED };

struct child;

/* The entry's data in the epoll set points here: children are freed only between drains, after their entries were deleted, so
 * no event can outlive what it points to. */
struct source {
  struct child *child;
  int32_t epoll;                   /* the set it is watched in, the reactor's */
  int32_t fd;                      /* -1: closed. Changed only under the state lock */
  uint8_t index;                   /* enum watched; below WATCHED_STATUS the stream */
  uint8_t added;                   /* in the epoll set */
  uint8_t disowned;                /* the owner closes it */
  uint8_t terminal;                /* the parent's end of a pseudo terminal */
  uint8_t parked;                  /* ready before its child is known to have started: back in the set then */
  uint8_t sized;                   /* its capacity is settled */
  uint8_t enlarged;                /* by source_enlarge, and counted */
  uint8_t ended;                   /* a pipe without a writer, or a reader, any more; reported in this wake-up or a later one */
  uint8_t fed;                     /* it brought data in this wake-up */
  uint8_t awaited;                 /* among them some that another pipe's end waits for */
  uint32_t mask;
  uint32_t ahead;                  /* bytes in it that another pipe's end waits for */
};

/* Puts the source into the set, changes its mask, or takes it out (mask NO_MASK). 0 or a negated errno. */
int source_watch(struct source *source, uint32_t mask);
/* Makes a pipe that was found full larger, once. Its capacity counts against the user's limit (pipe(7)), so not from the start. */
void source_enlarge(struct source *source);
/* Out of the set, then closed unless disowned: an entry would survive the close while another process has the file. */
void source_close(struct source *source);

/* In the child of a fork: of what was enlarged nothing is left. */
void sources_after_fork(void);
/* And the copy of a source: closed; a descriptor that is disowned becomes a duplicate of the placeholder (-1: there is none). */
void source_let_go(struct source *source, int placeholder);

#define NO_MASK UINT32_MAX

#endif
