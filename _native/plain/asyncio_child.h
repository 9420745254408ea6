/* The usual events of a child of `_asyncio/child.py`, whose protocol runs nobody else's code: that its program runs; what its pipes
 * bring, which is handed to them, or kept where nobody has asked for them; and its end where none is open. Everything else is the
 * child's own `on_event`. */
#ifndef AIOSPAWN_PLAIN_ASYNCIO_CHILD_H
#define AIOSPAWN_PLAIN_ASYNCIO_CHILD_H

#include "event.h"
#include "state.h"

/* Known from when the class is there. */
PyObject *know_children(PyObject *module, PyObject *args);
/* One event. The token is appended to `ended` when the reactor is to forget it. -1 with an exception: it is to be handled again. */
int asyncio_child_handle(const struct state *state, PyObject *child, const struct delivery *delivery, struct aiospawn_reactor *reactor,
                         PyObject *ended);

#endif
