/* What comes to the launcher through its memfd: it is refused, or the launcher can walk it. */
#include <stdlib.h>
#include <string.h>

#include "fuzz_kernel.h"
#include "launcher.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *arguments[] = {"program", NULL};
  struct launcher_request request;
  struct flight flight;
  if (size < sizeof request) return 0;
  unsigned char *base = malloc(size); /* as aligned as a mapping; libFuzzer's is not */
  memcpy(base, data, size);
  memcpy(&request, data, sizeof request);
  if (launcher_read(&request, base, size, &flight) == 0) {
    const char **candidates = malloc(((size_t)request.candidates + 1) * sizeof *candidates);
    launcher_point(&request, base, candidates);
    flight.candidates = candidates;
    flight.arguments = arguments;
    flight.variables = arguments;
    fuzz_run(&flight, (uint32_t)request.mask);
    free(candidates);
  }
  free(base);
  return 0;
}
