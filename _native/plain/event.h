/* An event of a batch on its way to the Python object that is its child's target. */
#ifndef AIOSPAWN_PLAIN_EVENT_H
#define AIOSPAWN_PLAIN_EVENT_H

#include "state.h"

struct delivery {
  struct aiospawn_event event;     /* a copy: the next poll overwrites it */
  long long number;                /* events before it, of all batches */
  const unsigned char *data, *usage;
};

/* What it carries besides its numbers, as `Target.on_event` has it. */
PyObject *event_payload(const struct delivery *delivery);
/* Calls `on_event` of the target. -1 with what it raised. */
int event_pass_on(const struct state *state, PyObject *target, const struct delivery *delivery);

#endif
