/* Init: the launcher stays as the parent of the command, a child subreaper, and ends with the last of the command's tree.
 *
 * Its orders come through a socket whose other end only the launching process has; the end of that means that this process is
 * gone. What it reports goes back the same way, at the latest before its exit. */
#ifndef AIOSPAWN_LAUNCHER_INIT_H
#define AIOSPAWN_LAUNCHER_INIT_H

#include <stdint.h>

#include "child/child.h"

/* struct launcher_request.init: what happens to the processes that are left when the command has ended. */
enum init_mode { INIT_NONE, INIT_KILL, INIT_WAIT, INIT_LEAVE, INIT_MODES };

#define INIT_NAME "aiospawn:init"

/* The orders that init gets. */
enum init_order_kind {
  INIT_ORDER_SIGNAL = 1,           /* the command gets the signal */
  INIT_ORDER_GROUP,                /* the process group that the command leads does */
  INIT_ORDER_TREE,                 /* everybody does; from now on those who are left are waited for */
  INIT_ORDER_KILL                  /* everybody is killed */
};
struct init_order {
  int32_t kind;                    /* enum init_order_kind */
  int32_t signal;
};

/* What init reports. */
enum init_report_kind {
  INIT_REPORT_ENDED = 1,           /* the tree has ended: `usage` is that of all of it */
  INIT_REPORT_LIMIT,               /* it is ended for a limit: `pid` is an enum aiospawn_limit */
  INIT_REPORT_REFUSED              /* it is to kill, and may not signal the processes that are left, process `pid` for one */
};
struct init_report {
  int32_t kind;                    /* enum init_report_kind */
  int32_t pid;
  int32_t status;                  /* of the command: its exit status, or the negated signal */
  unsigned char usage[144];        /* struct rusage of a 64-bit kernel */
};

/* The first message of the socket: the request, or its head where it is longer. The files that came with it, or -1: that of the
 * lease, if there is one, then that of the whole request, if it is longer. The message's length, or a negated errno. */
enum { INIT_FILES = 2 };
long launcher_receive(int socket, void *memory, uint64_t size, int files[INIT_FILES]);

/* What init needs to know. */
struct init_plan {
  int socket;
  enum init_mode mode;
  int has_namespace;               /* is init process 1 of a PID namespace of its own? */
  int has_cgroup;                  /* is the cgroup that a step joins the tree's own? */
  int lists_children;              /* does /proc list a thread's children? */
  uint32_t lease_ms;               /* 0: there is no lease */
  int lease;                       /* its file: a page with the time when it was renewed, ns of CLOCK_MONOTONIC */
};

/* Becomes init of the launch's program. The socket is closed by an execve. */
__attribute__((noreturn)) void init_run(struct launch *launch, const struct init_plan *plan);

#endif
