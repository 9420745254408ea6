/* The children of a reactor, and the table that finds them by their tokens.
 *
 * Ownership. A child belongs to the table from child_enter() to child_drop() or children_free(), and with it everything it holds: its
 * watched descriptors, its own ends until child_close_ends(), its stack until child_leave_memory(), its segment of the reserved
 * descriptors until child_leave_table(). A pointer to a child is good until then, and must not be kept across wake-ups: tokens are
 * for that. */
#ifndef AIOSPAWN_PARENT_CHILDREN_H
#define AIOSPAWN_PARENT_CHILDREN_H

#include "aiospawn.h"
#include "fd_block.h"
#include "stack_pool.h"
#include "status_pool.h"
#include "watched_fd.h"

enum launch_state { LAUNCHING, UNSURE, FAILING, STARTED };

struct child {
  uint64_t token;
  int32_t pid;
  uint8_t state;                   /* enum launch_state; UNSURE: the status pipe ended with the child gone */
  uint8_t reaped;
  uint8_t private_memory;          /* cloned without CLONE_VM */
  uint8_t via_launcher;
  uint8_t launcher_alive;          /* it has reported so */
  uint8_t has_init;                /* the launcher stays as init: this is its pid */
  uint8_t has_namespace;           /* a PID namespace of its own, of which init is process 1 */
  uint8_t ends_with_pidfd;         /* the kernel kills it where its pidfd is closed, and reaps it */
  int32_t lease;                   /* the file of its init's lease, the reactor's, or -1 */
  uint8_t tree_refuses;            /* init has said so */
  uint8_t limit;                   /* enum aiospawn_limit: init has ended the tree for it */
  uint8_t keeps_sigmask;           /* forked: the program's is what the Python code leaves */
  int16_t segment;                 /* its segment of the reserved descriptors (fd_block.h), or FD_BLOCK_NONE */
  int32_t status;                  /* once it is reaped: as in AIOSPAWN_EXITED, which may not be delivered yet */
  uint8_t keep_pidfd;              /* open until it is taken or the child is dropped */
  uint8_t collected;               /* nobody reads its pipes one by one, or waits until its program runs */
  uint8_t drops_at_end;            /* AIOSPAWN_DROP_AT_END, until it is to be kept */
  uint8_t ended_pipes;             /* of one that is collected: bit n for stream n, to be reported with its exit */
  uint8_t by_memory;               /* it has no status pipe of its own: what it reports is in its launch, in our memory */
  uint8_t exits;                   /* its pidfd is ready in this wake-up */
  struct pooled_pipe *pooled;      /* says when it has left that; or NULL: nothing does, or it was said */
  int64_t taken_since;             /* s: since then another thread or process is seen to reap it; 0: none is */
  struct pooled_stack *stack;      /* while the child is in our memory */
  struct failure failure;          /* while FAILING */
  int32_t ends[AIOSPAWN_ENDS];     /* the child's ends, until they are its own */
  struct watched_fd watched[WATCHED_FDS];
  struct child *next_launching;    /* of those without a status pipe, while they are in our memory */
  struct child **link;             /* what refers to this one there; NULL: it is not among them */
};

/* Changed on the loop's thread with the state lock held; so either is enough for looking. */
struct children {
  struct child **entries;          /* by the token's low half; NULL: a free place */
  uint32_t capacity;
  uint32_t *free_places;
  uint32_t free_count;
  uint32_t counter;                /* the token's high half */
  struct child *launching;         /* without a status pipe; for the loop's thread */
  uint32_t since_look;             /* how many were added since all of these were looked at */
  struct status_pool pool;
};

/* A new child in the table, with a token and descriptors of -1, which are watched in this set; NULL: out of memory. */
struct child *child_enter(struct children *children, int epoll);
/* The child of a token, or NULL. On the loop's thread, or with the state lock held. */
struct child *child_find(const struct children *children, uint64_t token);
/* A child was made of which nothing says when it leaves our memory. Now and then all of these are looked at. */
void children_add_launching(struct children *children, struct child *child);
/* Looks whether a child that reports there has left our memory; `ended`: it has exited. What it has reported is in its state: FAILING,
 * or UNSURE, for it may have got to its program or not. */
void child_look_at_memory(struct child *child, int ended);
/* It has left our memory, and with it our descriptor table; or the table alone. */
void child_leave_memory(struct child *child);
void child_leave_table(struct child *child);
/* Closes our copies of its ends: it has them, or was never made. */
void child_close_ends(struct child *child);
/* Is the parent's end of any of its pipes open? */
int child_has_pipes(const struct child *child);
/* Closes what it holds, frees it. Its stack is given back, or abandoned where the child may still be on it. */
void child_drop(struct children *children, struct child *child);
/* watched_fd_close() of a child's descriptor, but that a terminal stays open as long as its child lives. */
void child_shut(struct watched_fd *watched);

/* Closes what all of them hold. */
void children_close(struct children *children);
/* Frees them, and the table. forked: they are those of the process that this one was forked from. */
void children_free(struct children *children, int forked);
/* In the child of a fork: closes what the copies hold, but the ends of the one that it is itself (NULL: none of them). The
 * placeholder is watched_fd_close_copy()'s. */
void children_close_copies(struct children *children, const struct child *itself, int placeholder);

#endif
