/* A launch's request as the parent reads it: it is refused, or the child can walk it. */
#include <stdlib.h>

#include "fuzz_kernel.h"
#include "parent/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct layout layout;
  struct launch launch = {.status = 90, .ends = {91, 92, 93, 90, 94}, .segment = -1};
  if (request_read(data, size, &layout) < 0) return 0;
  unsigned char *memory = malloc(layout.pointers + layout.size);
  launch.has_close_range = (int)(layout.head.rows & 1);
  launch.clear_handlers = (int)(layout.head.columns & 1);
  if (request_place(&layout, data, memory, &launch) == 0) fuzz_run(&launch, (uint32_t)layout.head.sigmask);
  free(memory);
  return 0;
}
