#include "features.h"

static uint32_t features;

uint32_t features_found(void) { return __atomic_load_n(&features, __ATOMIC_ACQUIRE); }
void features_set(uint32_t found) { __atomic_store_n(&features, found, __ATOMIC_RELEASE); }
