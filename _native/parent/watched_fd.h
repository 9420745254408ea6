/* A watched descriptor: one that belongs to a child and is in the reactor's epoll set. A pipe end of the parent's, the status pipe,
 * the pidfd.
 *
 * Ownership. The structure is a part of its child's, and owns the descriptor, until that is disowned: then its new owner closes it,
 * after watched_fd_close() has taken it out of the set. For the loop's thread. */
#ifndef AIOSPAWN_PARENT_WATCHED_FD_H
#define AIOSPAWN_PARENT_WATCHED_FD_H

#include "aiospawn.h"

enum watched { WATCHED_STREAM, WATCHED_STATUS = AIOSPAWN_STREAMS, WATCHED_PIDFD, WATCHED_INIT, WATCHED_FDS, WATCHED_POOLED = WATCHED_FDS };

struct child;

/* The entry's data in the epoll set points here: children are freed only between wake-ups, after their entries were deleted, so
 * no event can outlive what it points to. */
struct watched_fd {
  struct child *child;             /* NULL: a pooled status pipe that tells of none */
  int32_t epoll;                   /* the set it is watched in, the reactor's */
  int32_t fd;                      /* -1: closed. Changed only under the state lock */
  uint8_t index;                   /* enum watched; below WATCHED_STATUS the stream */
  uint8_t added;                   /* in the epoll set */
  uint8_t disowned;                /* the owner closes it */
  uint8_t terminal;                /* the parent's end of a pseudo terminal */
  uint8_t parked;                  /* ready before its child is known to have started: back in the set then */
  uint8_t sized;                   /* its capacity is settled */
  uint8_t enlarged;                /* by watched_fd_enlarge, and counted */
  uint8_t ended;                   /* a pipe without a writer, or a reader, any more; reported in this wake-up or a later one */
  uint8_t fed;                     /* it brought data in this wake-up */
  uint8_t awaited;                 /* among them some that another pipe's end waits for */
  uint32_t mask;
  uint32_t ahead;                  /* bytes in it that another pipe's end waits for */
};

/* Puts it into the set, changes its mask, or takes it out (mask NO_MASK). 0 or a negated errno. */
int watched_fd_set(struct watched_fd *watched, uint32_t mask);
/* Makes a pipe that was found full larger, once. Its capacity counts against the user's limit (pipe(7)), so not from the start. */
void watched_fd_enlarge(struct watched_fd *watched);
/* Out of the set, then closed unless disowned: an entry would survive the close while another process has the file. */
void watched_fd_close(struct watched_fd *watched);

/* In the child of a fork, which has no pipes that were made larger. */
void watched_fds_after_fork(void);
/* And of a copy of the structure: closes the descriptor; one that is disowned becomes a duplicate of the placeholder (-1: there
 * is none). */
void watched_fd_close_copy(struct watched_fd *watched, int placeholder);

#define NO_MASK UINT32_MAX

#endif
