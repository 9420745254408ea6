/* The reader of requests (aiospawn.h): whatever the bytes are, the result is an error, or a launch whose steps the child can run
 * without checking anything again.
 *
 * Ownership. The request stays the caller's; the launch points into the memory that it was copied to. */
#ifndef AIOSPAWN_PARENT_REQUEST_H
#define AIOSPAWN_PARENT_REQUEST_H

#include "child/launch.h"

struct layout {                    /* where the parts of a request lie, and what its pointer arrays need */
  struct aiospawn_request head;
  size_t steps, data, strings, size;
  size_t pointers;                 /* candidates, arguments, variables, a NULL behind each */
};

/* 0, or -EINVAL: the header contradicts itself or the size. */
int request_read(const unsigned char *request, size_t size, struct layout *layout);
/* Copies the request into memory of layout->pointers + layout->size bytes, pointer arrays first, and makes the launch point
 * into it. 0, or -EINVAL: the strings or a step are damaged. */
int request_place(const struct layout *layout, const unsigned char *request, unsigned char *memory, struct launch *launch);

#endif
