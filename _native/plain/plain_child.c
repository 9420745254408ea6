#include "plain_child.h"

#include <stddef.h>
#include <structmember.h>
#include <time.h>

#include "names.h"

/* ---- the object ------------------------------------------------------------------------------------------------------ */

static double seconds_of(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

int siblings_read(const struct state *state, struct siblings *siblings) {
  PyObject *limit = PyObject_GetAttr(siblings->owner, state->names[NAME_LIMIT]);
  PyObject *joined = limit ? PyObject_GetAttr(siblings->owner, state->names[NAME_JOINED]) : NULL;
  PyObject *pipes = joined ? PyObject_GetAttr(joined, state->names[NAME_PIPES]) : NULL;
  if (pipes) {
    int is_huge = 0; /* more than there can be: no limit, too */
    siblings->limit = Py_IsNone(limit) ? -1 : PyLong_AsLongLongAndOverflow(limit, &is_huge);
    siblings->pipes = (int)PyLong_AsLong(pipes);
  }
  Py_XDECREF(limit);
  Py_XDECREF(joined);
  Py_XDECREF(pipes);
  return PyErr_Occurred() ? -1 : 0;
}

/* The type may be a subclass: it has no function in Python that begins it. */
struct plain_child *plain_child_new(const struct siblings *siblings, Py_ssize_t place, PyObject *args) {
  struct plain_child *child = (struct plain_child *)PyType_GenericAlloc(siblings->type, 0);
  if (!child) return NULL;
  child->owner = Py_NewRef(siblings->owner);
  child->reactor = Py_NewRef(siblings->reactor);
  child->args = Py_NewRef(args);
  child->limit = siblings->limit;
  child->pipes = siblings->pipes;
  child->place = place;
  child->number = -1;
  child->started = seconds_of(CLOCK_REALTIME);
  child->began = seconds_of(CLOCK_MONOTONIC);
  return child;
}

static int traverse(PyObject *self, visitproc visit, void *arg) {
  struct plain_child *child = (struct plain_child *)self;
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(child->owner);
  Py_VISIT(child->reactor);
  Py_VISIT(child->args);
  Py_VISIT(child->capture);
  Py_VISIT(child->error);
  return 0;
}

static int clear(PyObject *self) {
  struct plain_child *child = (struct plain_child *)self;
  Py_CLEAR(child->owner);
  Py_CLEAR(child->reactor);
  Py_CLEAR(child->args);
  Py_CLEAR(child->capture);
  Py_CLEAR(child->chunks);
  Py_CLEAR(child->returncode);
  Py_CLEAR(child->error);
  Py_CLEAR(child->usage);
  return 0;
}

static void dealloc(PyObject *self) {
  PyTypeObject *type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  clear(self);
  ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
  Py_DecRef((PyObject *)type);
}

static PyMemberDef members[] = {
    {"_owner", T_OBJECT, offsetof(struct plain_child, owner), READONLY, NULL},
    {"_reactor", T_OBJECT, offsetof(struct plain_child, reactor), READONLY, NULL},
    {"args", T_OBJECT, offsetof(struct plain_child, args), READONLY, NULL},
    {"capture", T_OBJECT, offsetof(struct plain_child, capture), 0, NULL},
    {"chunks", T_OBJECT, offsetof(struct plain_child, chunks), READONLY, NULL},
    {"returncode", T_OBJECT, offsetof(struct plain_child, returncode), READONLY, NULL},
    {"error", T_OBJECT, offsetof(struct plain_child, error), 0, NULL},
    {"usage", T_OBJECT, offsetof(struct plain_child, usage), READONLY, NULL},
    {"started", T_DOUBLE, offsetof(struct plain_child, started), READONLY, NULL},
    {"began", T_DOUBLE, offsetof(struct plain_child, began), READONLY, NULL},
    {"elapsed", T_DOUBLE, offsetof(struct plain_child, elapsed), READONLY, NULL},
    {"number", T_LONGLONG, offsetof(struct plain_child, number), READONLY, NULL},
    {"token", T_ULONGLONG, offsetof(struct plain_child, token), 0, NULL},
    {"place", T_PYSSIZET, offsetof(struct plain_child, place), READONLY, NULL},
    {"pid", T_INT, offsetof(struct plain_child, pid), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot slots[] = {
    {Py_tp_traverse, traverse}, {Py_tp_clear, clear}, {Py_tp_dealloc, dealloc}, {Py_tp_members, members}, {0, NULL}};
static PyType_Spec spec = {.name = "aiospawn._binding._plain.Child",
                           .basicsize = sizeof(struct plain_child),
                           .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                           .slots = slots};

PyObject *plain_child_type(PyObject *module) { return PyType_FromModuleAndSpec(module, &spec, NULL); }

/* ---- its events ------------------------------------------------------------------------------------------------------ */

/* 1: it is kept. 0, and nothing changes: it is more than the limit allows. -1: an exception. */
static int receive(struct plain_child *child, const struct delivery *delivery) {
  long long size = delivery->event.length;
  Py_ssize_t count = child->chunks ? PyList_Size(child->chunks) : 0;
  if (count) size += PyLong_AsLongLong(PyTuple_GetItem(PyList_GetItem(child->chunks, count - 1), 3));
  if (child->limit >= 0 && size > child->limit) return 0;
  if (!child->chunks && !(child->chunks = PyList_New(0))) return -1;
  PyObject *payload = event_payload(delivery);
  PyObject *chunk = payload ? Py_BuildValue("(LINL)", delivery->number, delivery->event.stream, payload, size) : NULL;
  int result = chunk ? PyList_Append(child->chunks, chunk) : -1;
  Py_XDECREF(chunk);
  return result == -1 ? -1 : 1;
}

/* Something else than a child of ours has to handle this. */
static int is_unusual(const struct plain_child *child, const struct aiospawn_event *event) {
  if (event->kind == AIOSPAWN_DATA) return 1; /* too much */
  /* A descendant holds a pipe; or the status is lost, which is logged. */
  return event->kind == AIOSPAWN_EXITED && ((child->pipes & ~(int)event->stream) || (event->extra & 2));
}

static int take_over(const struct state *state, struct plain_child *child) {
  PyObject *capture = PyObject_CallMethodObjArgs((PyObject *)child, state->names[NAME_TAKEN_OVER], NULL);
  Py_XDECREF(capture); /* the child has it */
  return capture ? 0 : -1;
}

static int end(const struct state *state, struct plain_child *child, const struct delivery *delivery) {
  const struct aiospawn_event *event = &delivery->event;
  if (event->kind != AIOSPAWN_EXITED) {
    PyObject *failed = PyObject_GetAttr((PyObject *)child, state->names[NAME_FAILED]), *result = NULL;
    if (failed) result = PyObject_CallFunction(failed, "IiiI", event->kind, event->value, event->extra, event->offset);
    Py_XDECREF(failed);
    Py_XDECREF(result);
    return result ? 0 : -1;
  }
  PyObject *usage = event_payload(delivery), *returncode = usage ? PyLong_FromLong(event->value) : NULL;
  if (!returncode) {
    Py_XDECREF(usage);
    return -1;
  }
  child->elapsed = seconds_of(CLOCK_MONOTONIC) - child->began;
  replace(&child->usage, usage);
  replace(&child->returncode, returncode);
  return 0;
}

/* The owner is to look at it. */
static int report(const struct state *state, const struct plain_child *child) {
  PyObject *list = PyObject_GetAttr(child->owner, state->names[NAME_ENDED]);
  int result = !list ? -1 : Py_IsNone(list) ? 0 : PyList_Append(list, (PyObject *)child);
  Py_XDECREF(list);
  PyObject *woken = result == 0 ? PyObject_GetAttr(child->owner, state->names[NAME_IS_WOKEN]) : NULL;
  if (!woken) return -1;
  int is_woken = PyObject_IsTrue(woken);
  Py_DecRef(woken);
  if (is_woken) return is_woken == -1 ? -1 : 0;
  PyObject *done = PyObject_CallMethodObjArgs(child->owner, state->names[NAME_WAKE], NULL);
  Py_XDECREF(done);
  return done ? 0 : -1;
}

static int forget(struct plain_child *child, PyObject *ended) {
  PyObject *token = PyLong_FromUnsignedLongLong(child->token);
  int result = token ? PyList_Append(ended, token) : -1;
  Py_XDECREF(token);
  return result;
}

int plain_child_handle(const struct state *state, struct plain_child *child, const struct delivery *delivery, PyObject *ended) {
  if (!is_there(child->capture)) {
    if (delivery->number <= child->number) return 0;
    int received = delivery->event.kind == AIOSPAWN_DATA ? receive(child, delivery) : 0;
    if (received) {
      if (received == 1) child->number = delivery->number;
      return received == 1 ? 0 : -1;
    }
    if (is_unusual(child, &delivery->event) && take_over(state, child) == -1) return -1;
  }
  if (is_there(child->capture)) return event_pass_on(state, child->capture, delivery) == -1 ? -1 : report(state, child);
  if (end(state, child, delivery) == -1 || report(state, child) == -1 || forget(child, ended) == -1) return -1;
  child->number = delivery->number;
  return 0;
}
