#ifndef AIOSPAWN_PROBE_H
#define AIOSPAWN_PROBE_H

#include <stdint.h>

/* The result of aiospawn_probe(), 0 before. */
uint32_t probed_features(void);

#endif
