/* What the launcher reads from a pipe, or from a file in memory where it is longer than the launcher's buffer. The numbers of the
 * child's ends are not in it but in argv[0]: they are known only when the segment of reserved descriptors is filled, after the
 * request was written. Their form there and the place of the version never change: an older launcher must be able to refuse a newer
 * request.
 *
 * Ownership. The parent writes the request and closes its descriptor; the launcher reads it into memory of its own. */
#ifndef AIOSPAWN_LAUNCHER_LAUNCHER_H
#define AIOSPAWN_LAUNCHER_LAUNCHER_H

#include <stdint.h>

#include "child/launch.h"

enum {
  LAUNCHER_VERSION = 8,
  LAUNCHER_BUFFER = 4096,            /* PIPE_BUF: written without waiting */
  LAUNCHER_ANSWER = 42,            /* exit statuses: asked whether it can be executed, */
  LAUNCHER_NO_REQUEST = 127        /* and without a request, where it knows no status pipe */
};
#define LAUNCHER_NAME "aiospawn:launch"

struct launcher_request {
  uint32_t version;
  uint32_t size;                   /* of all of it */
  uint32_t steps, steps_at;        /* how many, and the offset of the first */
  uint32_t data_at;
  uint32_t candidates, candidates_at;
  uint32_t first_index;            /* of the steps within the request */
  int32_t top;
  int32_t program;
  uint32_t has_close_range;
  uint8_t init;                    /* enum init_mode */
  uint8_t has_namespace;           /* for init: it is process 1 of a PID namespace */
  uint8_t has_cgroup;              /* for init: the cgroup that a step joins is the tree's own */
  uint8_t lists_children;          /* for init: AIOSPAWN_HAS_PROC_CHILDREN */
  uint32_t lease_ms;               /* for init: the tree ends where its lease is not renewed for so long; 0: it has none */
  uint32_t unused;                 /* no padding: it would carry what lay on the parent's stack */
  uint64_t mask;
};

/* The launch of a request of which so many bytes lie at base; nothing in it is trusted. 0, or -EPROTO. Arguments,
 * environment and candidates are still to be put in. Of the ends, -1 is none. */
long launcher_read(const struct launcher_request *request, const unsigned char *base, uint64_t size, const int *ends,
                   struct launch *launch);
/* The candidates of a request that was read, and a NULL behind them. */
void launcher_point_candidates(const struct launcher_request *request, const unsigned char *base, const char **array);

#endif
