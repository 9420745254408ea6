/* What comes to the launcher through its pipe: it is refused, or the launcher can walk it. */
#include <stdlib.h>
#include <string.h>

#include "fuzz_kernel.h"
#include "launcher/init.h"
#include "launcher/launcher.h"

static void run(struct launch *launch, const struct launcher_request *request) {
  struct init_plan plan = {
      .socket = 94,
      .mode = request->init,
      .has_namespace = request->has_namespace,
      .has_cgroup = request->has_cgroup,
      .lists_children = request->lists_children,
      .lease_ms = request->lease_ms,
      .lease = request->unused >> 8 & 1 ? -1 : 95,
  };
  if (request->init == INIT_NONE) fuzz_run(launch, (uint32_t)request->mask);
  else fuzz_run_init(launch, &plan, (uint32_t)request->mask);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const char *arguments[] = {"program", NULL};
  struct launcher_request request;
  static const int numbers[AIOSPAWN_ENDS] = {91, 92, 93, 90, 94};
  int ends[AIOSPAWN_ENDS];
  struct launch launch;
  if (size < sizeof request) return 0;
  unsigned char *base = malloc(size); /* as aligned as a mapping; libFuzzer's is not */
  memcpy(base, data, size);
  memcpy(&request, data, sizeof request);
  for (int end = 0; end < AIOSPAWN_ENDS; end++) ends[end] = request.unused >> end & 1 ? -1 : numbers[end];
  if (launcher_read(&request, base, size, ends, &launch) == 0) {
    const char **candidates = malloc(((size_t)request.candidates + 1) * sizeof *candidates);
    launcher_point_candidates(&request, base, candidates);
    launch.candidates = candidates;
    launch.arguments = arguments;
    launch.variables = arguments;
    run(&launch, &request);
    free(candidates);
  }
  free(base);
  return 0;
}
