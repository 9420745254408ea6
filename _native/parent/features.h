/* What the probe found that the kernel offers: one word of feature bits (enum aiospawn_feature), below everything that asks for it. */
#ifndef AIOSPAWN_PARENT_FEATURES_H
#define AIOSPAWN_PARENT_FEATURES_H

#include <stdint.h>

/* The result of aiospawn_probe(), 0 before. From any thread. */
uint32_t features_found(void);
void features_set(uint32_t found);

#endif
