/* The child of `_commands/plain_child.py`, which says what it is; this is what its usual life needs.
 *
 * Ownership. It owns references to its owner, its reactor and all that came of it. */
#ifndef AIOSPAWN_PLAIN_PLAIN_CHILD_H
#define AIOSPAWN_PLAIN_PLAIN_CHILD_H

#include "event.h"
#include "state.h"

struct plain_child {
  PyObject_HEAD                    /* */
  PyObject *owner, *reactor, *args;
  PyObject *capture;               /* what has taken its place, or NULL */
  PyObject *chunks;                /* list of (event's number, stream, bytes, bytes up to here), or NULL */
  PyObject *returncode, *error, *usage;
  double started, began, elapsed;  /* s: since the epoch; on the monotonic clock; from there to its end */
  long long number;                /* of the last event */
  long long limit;                 /* the most bytes of its output; -1: no limit */
  unsigned long long token;
  Py_ssize_t place;                /* the owner's */
  int pid;
  int pipes;                       /* bit n for stream n */
};

/* What the children of an owner have in common; borrowed. */
struct siblings {
  PyTypeObject *type;
  PyObject *owner, *reactor;
  long long limit;
  int pipes;
};

/* Neither unset nor None. */
static inline int is_there(PyObject *attribute) { return attribute && !Py_IsNone(attribute); }

/* A new type, that of the module; NULL with an exception. */
PyObject *plain_child_type(PyObject *module);
/* -1 with an exception. */
int siblings_read(const struct state *state, struct siblings *siblings);
/* One that begins now. */
struct plain_child *plain_child_new(const struct siblings *siblings, Py_ssize_t place, PyObject *args);
/* One event. The token is appended to `ended` when the reactor is to forget it. -1 with an exception: it is to be handled again. */
int plain_child_handle(const struct state *state, struct plain_child *child, const struct delivery *delivery, PyObject *ended);

#endif
