/* Tells what the probe finds where this runs. */
#include <stdio.h>

#include "aiospawn.h"

int main(void) {
  uint32_t found = aiospawn_probe(0);
  printf("shared memory %d, pidfd %d\n", !!(found & AIOSPAWN_HAS_SHARED_MEMORY), !!(found & AIOSPAWN_HAS_PIDFD));
  return 0;
}
