/* The launcher's reader: a request, into a launch. Compiled like child/child.c. */
#include <stddef.h>

#include "launcher.h"
#include "child/step_check.h"
#include "init.h"

enum { DAMAGED = -71 /* EPROTO */ };

/* The parts lie in the order of struct launcher_request, and fill it. */
static int is_laid_out(const struct launcher_request *request) {
  uint64_t steps_end = sizeof *request + (uint64_t)request->steps * sizeof(struct aiospawn_step);
  return request->steps <= AIOSPAWN_MAX_STEPS && request->steps_at == sizeof *request && request->data_at == steps_end &&
         request->candidates_at >= request->data_at && request->size >= request->candidates_at;
}

static int has_candidates(const struct launcher_request *request, const unsigned char *base) {
  uint32_t found = 0;
  for (uint32_t at = request->candidates_at; at < request->size; at++) found += base[at] == 0;
  if (found != request->candidates) return 0;
  return request->candidates ? base[request->size - 1] == 0
                             : request->size == request->candidates_at && request->program != AIOSPAWN_NO_FD;
}

long launcher_read(const struct launcher_request *request, const unsigned char *base, uint64_t size, const int *ends,
                   struct launch *launch) {
  if (size != request->size || !is_laid_out(request) || !has_candidates(request, base)) return DAMAGED;
  if (request->init >= INIT_MODES || request->has_namespace > 1 || request->has_cgroup > 1) return DAMAGED;
  if (request->has_namespace && (request->init == INIT_NONE || request->init == INIT_LEAVE)) return DAMAGED;
  struct bounds bounds = {
      .data = base + request->data_at,
      .data_size = request->candidates_at - request->data_at,
      .top = request->top,
  };
  *launch = (struct launch){
      .steps = (const struct aiospawn_step *)(base + request->steps_at),
      .step_count = request->steps,
      .first_index = request->first_index,
      .data = bounds.data,
      .status = ends[AIOSPAWN_END_STATUS],
      .top = request->top,
      .program = request->program,
      .segment = -1,
      .memory = MEMORY_LAUNCHERS,
      .execve_kind = AIOSPAWN_STEP_EXECVE,
      .has_close_range = (int)request->has_close_range,
      .mask = request->mask,
  };
  for (int end = 0; end < AIOSPAWN_ENDS; end++) {
    launch->ends[end] = ends[end];
    if (end < AIOSPAWN_STREAMS && ends[end] >= 0) bounds.ends |= 1u << end;
  }
  if (request->top < -1 || request->top >= DESCRIPTOR_NUMBERS) return DAMAGED;
  for (uint32_t i = 0; i < request->steps; i++)
    if (!step_is_valid(&bounds, &launch->steps[i])) return DAMAGED;
  return program_is_valid(&bounds, request->program) ? 0 : DAMAGED;
}

void launcher_point_candidates(const struct launcher_request *request, const unsigned char *base, const char **array) {
  const char *string = (const char *)base + request->candidates_at;
  for (uint32_t i = 0; i < request->candidates; i++) {
    array[i] = string;
    while (*string++) {
    }
  }
  array[request->candidates] = NULL;
}
