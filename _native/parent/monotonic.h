/* Time that only goes on: for deadlines. */
#ifndef AIOSPAWN_PARENT_MONOTONIC_H
#define AIOSPAWN_PARENT_MONOTONIC_H

#include <stdint.h>
#include <time.h>

static inline int64_t monotonic_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

#endif
