#include "request.h"

#include <errno.h>
#include <string.h>

#include "child/step_check.h"

/* In 64 bits, whatever the processor has: the sum of a damaged header's sizes must not come round to a small one. */
int request_read(const unsigned char *request, size_t size, struct layout *layout) {
  if (size < sizeof layout->head) return -EINVAL;
  memcpy(&layout->head, request, sizeof layout->head);
  const struct aiospawn_request *head = &layout->head;
  if (head->version != AIOSPAWN_REQUEST_VERSION || head->steps > AIOSPAWN_MAX_STEPS) return -EINVAL;
  uint64_t data = sizeof *head + (uint64_t)head->steps * sizeof(struct aiospawn_step);
  uint64_t strings = data + head->data_size;
  uint64_t count = (uint64_t)head->candidates + head->arguments + head->variables;
  if (strings > size || count > size - strings) return -EINVAL;
  if (count && request[size - 1] != 0) return -EINVAL;
  layout->steps = sizeof *head;
  layout->data = (size_t)data;
  layout->strings = (size_t)strings;
  layout->size = size;
  layout->pointers = ((size_t)count + 3) * sizeof(char *);
  if (head->prelude > head->steps || (!head->candidates && head->program == AIOSPAWN_NO_FD)) return -EINVAL;
  for (int i = 0; i < AIOSPAWN_STREAMS; i++)
    if (head->pipes[i] > (i ? AIOSPAWN_CHILD_WRITES : AIOSPAWN_PTY)) return -EINVAL;
  if (head->pipes[0] == AIOSPAWN_PTY && (head->pipes[1] || head->pipes[2])) return -EINVAL;
  return head->top < -1 || head->top >= DESCRIPTOR_NUMBERS || head->pipe_size < 0 ? -EINVAL : 0;
}

static struct bounds bounds_of(const struct aiospawn_request *head, const unsigned char *data) {
  struct bounds bounds = {.data = data, .data_size = head->data_size, .top = head->top};
  bounds.forked = (head->flags & AIOSPAWN_FORKED) != 0;
  for (int end = 0; end < AIOSPAWN_ENDS; end++)
    if (end >= AIOSPAWN_STREAMS || head->pipes[end] != AIOSPAWN_NO_PIPE) bounds.ends |= 1u << end;
  return bounds;
}

static const char **point(const char ***next, const char **string, const char *end, uint32_t count) {
  const char **first = *next;
  for (; count && *string < end; count--) {
    *(*next)++ = *string;
    *string += strlen(*string) + 1;
  }
  *(*next)++ = NULL;
  return count ? NULL : first;
}

int request_place(const struct layout *layout, const unsigned char *request, unsigned char *memory, struct launch *launch) {
  const char **next = (const char **)memory;
  unsigned char *copy = memory + layout->pointers;
  memcpy(copy, request, layout->size);
  const char *string = (const char *)copy + layout->strings, *end = (const char *)copy + layout->size;
  launch->steps = (const struct aiospawn_step *)(copy + layout->steps);
  launch->step_count = layout->head.steps;
  launch->data = copy + layout->data;
  launch->top = layout->head.top;
  launch->program = layout->head.program;
  launch->execve_kind = AIOSPAWN_STEP_EXECVE;
  launch->first_index = 0;
  launch->candidates = point(&next, &string, end, layout->head.candidates);
  launch->arguments = launch->candidates ? point(&next, &string, end, layout->head.arguments) : NULL;
  launch->variables = launch->arguments ? point(&next, &string, end, layout->head.variables) : NULL;
  if (!launch->variables || string != end) return -EINVAL;
  struct bounds bounds = bounds_of(&layout->head, launch->data);
  for (uint32_t i = 0; i < launch->step_count; i++)
    if (!step_is_valid(&bounds, &launch->steps[i])) return -EINVAL;
  return program_is_valid(&bounds, launch->program) ? 0 : -EINVAL;
}
