/* What the launcher reads from a pipe, or a file in memory where it is longer than its room. The status descriptor and the version keep their places for good: an older
 * launcher must be able to refuse a newer request. */
#ifndef AIOSPAWN_LAUNCHER_H
#define AIOSPAWN_LAUNCHER_H

#include <stdint.h>

#include "aiospawn.h"

enum {
  LAUNCHER_VERSION = 2,
  LAUNCHER_ROOM = 4096,            /* PIPE_BUF: written without waiting */
  LAUNCHER_ANSWER = 42,            /* exit statuses: asked whether it can be executed, */
  LAUNCHER_NO_REQUEST = 127        /* and without a request it has nobody else to tell */
};
#define LAUNCHER_NAME "aiospawn:launch"

struct launcher_request {
  uint32_t version;
  int32_t status;
  uint32_t size;                   /* of all of it */
  uint32_t steps, steps_at;        /* how many, and the offset of the first */
  uint32_t data_at;
  uint32_t candidates, candidates_at;
  uint32_t first_index;            /* of the steps within the request */
  int32_t ends[AIOSPAWN_STREAMS];
  int32_t top;
  int32_t program;
  uint32_t has_close_range;
  uint32_t unused;                 /* no padding: it would carry what lay on the parent's stack */
  uint64_t mask;
};

#endif
