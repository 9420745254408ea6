#include "wakeup.h"

struct aiospawn_event *wakeup_add(struct wakeup *wakeup, const struct child *child, uint32_t kind, uint32_t stream) {
  struct aiospawn_event *event = &wakeup->reactor->memory->events[wakeup->reactor->batch.count++];
  *event = (struct aiospawn_event){.token = child->token, .kind = kind, .stream = stream};
  return event;
}
