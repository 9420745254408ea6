#include "asyncio_child.h"

#include <string.h>

#include "names.h"

/* ---- what is known of the class -------------------------------------------------------------------------------------- */

PyObject *know_children(PyObject *module, PyObject *args) {
  struct state *state = PyModule_GetState(module);
  PyObject *type, *standings[STANDINGS];
  if (!PyArg_ParseTuple(args, "O!OOOO:know_children", &PyType_Type, &type, &standings[LAUNCHING], &standings[RUNNING], &standings[UNPIPED],
                        &standings[FINISHED]))
    return NULL;
  replace((PyObject **)&state->asyncio_child_type, Py_NewRef(type));
  for (int i = 0; i < STANDINGS; i++) replace(&state->standings[i], Py_NewRef(standings[i]));
  return Py_NewRef(Py_None);
}

/* Identity is enough: each standing without a call that is due is one tuple. -1 with an exception, or that of another one. */
static int standing_of(const struct state *state, PyObject *child) {
  PyObject *standing = get(state, child, NAME_STANDING);
  int found = -1;
  for (int i = 0; standing && i < STANDINGS; i++)
    if (standing == state->standings[i]) found = i;
  Py_XDECREF(standing);
  return found;
}

static int was_handled(const struct state *state, PyObject *child, const struct delivery *delivery) {
  PyObject *last = get(state, child, NAME_NUMBER);
  long long number = last ? PyLong_AsLongLong(last) : -1;
  Py_XDECREF(last);
  return PyErr_Occurred() ? -1 : delivery->number <= number;
}

static int mark_handled(const struct state *state, PyObject *child, const struct delivery *delivery) {
  return set_owned(state, child, NAME_NUMBER, PyLong_FromLongLong(delivery->number));
}

/* ---- futures --------------------------------------------------------------------------------------------------------- */

static int conclude(const struct state *state, PyObject *future, PyObject *result) {
  PyObject *done = call(state, future, NAME_DONE, NULL);
  int is_done = done ? PyObject_IsTrue(done) : -1;
  Py_XDECREF(done);
  if (is_done) return is_done == 1 ? 0 : -1;
  PyObject *none = call(state, future, NAME_SET_RESULT, result);
  Py_XDECREF(none);
  return none ? 0 : -1;
}

/* ---- the start ------------------------------------------------------------------------------------------------------- */

static int make_connection(const struct state *state, PyObject *child) {
  PyObject *resumed = get(state, child, NAME_RESUMED), *none = NULL;
  if (resumed) none = call(state, resumed, NAME_CONNECTION_MADE, child);
  Py_XDECREF(resumed);
  Py_XDECREF(none);
  int has_pipes = none ? is_true(state, child, NAME_OPEN_PIPES) : -1;
  return has_pipes == -1 ? -1 : set(state, child, NAME_STANDING, state->standings[has_pipes ? RUNNING : UNPIPED]);
}

static int start(const struct state *state, PyObject *child) {
  int standing = standing_of(state, child);
  if (standing == -1 && PyErr_Occurred()) return -1;
  if (standing == LAUNCHING && make_connection(state, child) == -1) return -1;
  PyObject *launch = get(state, child, NAME_LAUNCH);
  if (!launch) return -1;
  int result = Py_IsNone(launch) ? 0 : conclude(state, launch, Py_None);
  Py_DecRef(launch);
  if (result == 0) result = set(state, child, NAME_LAUNCH, Py_None);
  return result == 0 ? set(state, child, NAME_REQUEST, Py_None) : -1;
}

/* ---- the end --------------------------------------------------------------------------------------------------------- */

static int record(const struct state *state, PyObject *child, const struct delivery *delivery) {
  PyObject *returncode = get(state, child, NAME_OWN_RETURNCODE);
  if (!returncode) return -1;
  int is_new = Py_IsNone(returncode); /* a program may have set it */
  Py_DecRef(returncode);
  if (is_new && set_owned(state, child, NAME_OWN_RETURNCODE, PyLong_FromLong(delivery->event.value)) == -1) return -1;
  if (set_owned(state, child, NAME_USAGE, event_payload(delivery)) == -1) return -1;
  return set(state, child, NAME_OWN_PIDFD, Py_None);
}

static int make_last_calls(const struct state *state, PyObject *child) {
  PyObject *resumed = get(state, child, NAME_RESUMED), *none = resumed ? call(state, resumed, NAME_ENDED, NULL) : NULL;
  Py_XDECREF(resumed);
  Py_XDECREF(none);
  return none ? set(state, child, NAME_STANDING, state->standings[FINISHED]) : -1;
}

static int conclude_all(const struct state *state, PyObject *child, PyObject *waiters) {
  PyObject *returncode = get(state, child, NAME_OWN_RETURNCODE);
  int result = returncode ? 0 : -1;
  for (Py_ssize_t i = 0; result == 0 && i < PyList_Size(waiters); i++) {
    PyObject *waiter = Py_NewRef(PyList_GetItem(waiters, i));
    result = conclude(state, waiter, returncode);
    Py_DecRef(waiter);
  }
  Py_XDECREF(returncode);
  return result == 0 ? set(state, child, NAME_EXIT_WAITERS, Py_None) : -1;
}

/* The waiting tasks continue after this callback: after connection_lost. */
static int wake_waiters(const struct state *state, PyObject *child) {
  PyObject *waiters = get(state, child, NAME_EXIT_WAITERS);
  if (!waiters) return -1;
  int result = Py_IS_TYPE(waiters, &PyList_Type) ? conclude_all(state, child, waiters) : 0;
  Py_DecRef(waiters);
  return result;
}

/* No signal's handler runs in here. */
static int finish(const struct state *state, PyObject *child, const struct delivery *delivery, struct aiospawn_reactor *reactor,
                  PyObject *ended) {
  int is_done = is_true(state, child, NAME_IS_DONE);
  if (is_done) return is_done == 1 ? 0 : -1;
  PyObject *token = PyLong_FromUnsignedLongLong(delivery->event.token);
  int result = token ? PyList_Append(ended, token) : -1;
  Py_XDECREF(token);
  if (result == -1 || set(state, child, NAME_IS_DONE, Py_True) == -1) return -1;
  state->release(reactor, delivery->event.token);
  if (set(state, child, NAME_PROTOCOL, Py_None) == -1) return -1;
  return set(state, child, NAME_RESUMED, Py_None);
}

static int end(const struct state *state, PyObject *child, const struct delivery *delivery, struct aiospawn_reactor *reactor,
               PyObject *ended) {
  int standing = standing_of(state, child); /* FINISHED: interrupted, this is done again */
  if (standing == -1) return -1;
  if (standing == UNPIPED && (record(state, child, delivery) == -1 || make_last_calls(state, child) == -1)) return -1;
  if (wake_waiters(state, child) == -1) return -1;
  return finish(state, child, delivery, reactor, ended);
}

/* ---- output ---------------------------------------------------------------------------------------------------------- */

static int call_for_stream(const struct state *state, PyObject *child, enum name name, uint32_t number) {
  PyObject *stream = PyLong_FromUnsignedLong(number), *none = stream ? call(state, child, name, stream) : NULL;
  Py_XDECREF(stream);
  Py_XDECREF(none);
  return none ? 0 : -1;
}

/* Of an output that nobody has asked for. The handling is marked with it: what follows may be interrupted. */
static int keep(const struct state *state, PyObject *child, PyObject *buffer, const struct delivery *delivery) {
  const struct aiospawn_event *event = &delivery->event;
  Py_ssize_t before = PyByteArray_Size(buffer), after = before + (Py_ssize_t)event->length;
  if (PyByteArray_Resize(buffer, after) == -1) return -1;
  memcpy(PyByteArray_AsString(buffer) + before, delivery->data, event->length);
  if (mark_handled(state, child, delivery) == -1) return -1;
  PyObject *most = get(state, child, NAME_UNREAD_MOST);
  int is_more = most ? PyLong_AsSsize_t(most) < after : -1;
  Py_XDECREF(most);
  if (is_more != 1 || PyErr_Occurred()) return PyErr_Occurred() ? -1 : 0;
  return call_for_stream(state, child, NAME_OUTGROWN, event->stream);
}

static int close_unread(const struct state *state, PyObject *child, const struct delivery *delivery) {
  PyObject *open = get(state, child, NAME_OPEN_PIPES);
  long rest = open ? PyLong_AsLong(open) & ~(1L << delivery->event.stream) : -1;
  Py_XDECREF(open);
  if (rest == -1 && PyErr_Occurred()) return -1;
  int standing = rest ? RUNNING : standing_of(state, child);
  if (standing == -1 && PyErr_Occurred()) return -1;
  if (standing == RUNNING) {
    if (set_owned(state, child, NAME_OPEN_PIPES, PyLong_FromLong(rest)) == -1) return -1;
    return rest ? 0 : set(state, child, NAME_STANDING, state->standings[UNPIPED]);
  }
  return call_for_stream(state, child, NAME_PIPE_LOST, delivery->event.stream); /* it has exited before */
}

/* The buffer of an output that nobody has asked for, borrowed; NULL, with or without an exception, where this is none. */
static PyObject *unread_buffer(const struct state *state, PyObject *child, const struct delivery *delivery) {
  const struct aiospawn_event *event = &delivery->event;
  int is_usual = event->kind == AIOSPAWN_DATA || (event->kind == AIOSPAWN_EOF && !event->value);
  if (!is_usual) return NULL;
  PyObject *unread = get(state, child, NAME_UNREAD), *buffer = NULL;
  if (unread && Py_IS_TYPE(unread, &PyTuple_Type)) buffer = PyTuple_GetItem(unread, event->stream);
  Py_XDECREF(unread); /* the child has it */
  return buffer && Py_IS_TYPE(buffer, &PyByteArray_Type) ? buffer : NULL;
}

/* As `Child.on_event`, of a pipe: that does the rest. */
static int pass_to_pipe(const struct state *state, PyObject *child, const struct delivery *delivery) {
  const struct aiospawn_event *event = &delivery->event;
  PyObject *pipes = get(state, child, NAME_OWN_PIPES), *stream = pipes ? PyLong_FromUnsignedLong(event->stream) : NULL;
  PyObject *pipe = stream ? PyObject_GetItem(pipes, stream) : NULL, *payload = pipe ? event_payload(delivery) : NULL;
  PyObject *on_event = payload ? get(state, pipe, NAME_ON_EVENT) : NULL, *done = NULL;
  if (on_event) done = PyObject_CallFunction(on_event, "LIiO", delivery->number, event->kind, event->value, payload);
  Py_XDECREF(on_event);
  Py_XDECREF(payload);
  Py_XDECREF(pipe);
  Py_XDECREF(stream);
  Py_XDECREF(pipes);
  Py_XDECREF(done);
  return done ? 0 : -1;
}

/* ---- events ---------------------------------------------------------------------------------------------------------- */

/* A program may have put something else in the place of the list. */
static int has_usual_waiters(const struct state *state, PyObject *child) {
  PyObject *waiters = get(state, child, NAME_EXIT_WAITERS);
  int result = waiters ? Py_IsNone(waiters) || Py_IS_TYPE(waiters, &PyList_Type) : -1;
  Py_XDECREF(waiters);
  return result;
}

/* Has it a tree, a sandbox or a cgroup of its own, or is its status lost, or a pipe open? */
static int ends_unusually(const struct state *state, PyObject *child, const struct delivery *delivery) {
  int standing = standing_of(state, child);
  if (standing == -1 && PyErr_Occurred()) return -1;
  if ((standing != UNPIPED && standing != FINISHED) || (delivery->event.extra & 2)) return 1;
  int is_plain = is_true(state, child, NAME_IS_PLAIN);
  int is_usual = is_plain == 1 ? has_usual_waiters(state, child) : is_plain;
  return is_usual == -1 ? -1 : !is_usual;
}

static int handle_output(const struct state *state, PyObject *child, const struct delivery *delivery) {
  PyObject *buffer = unread_buffer(state, child, delivery);
  if (!buffer) return PyErr_Occurred() ? -1 : pass_to_pipe(state, child, delivery);
  return delivery->event.kind == AIOSPAWN_DATA ? keep(state, child, buffer, delivery) : close_unread(state, child, delivery);
}

/* Not what ends unusually, fails, or dies: that is for Python. */
static int handle(const struct state *state, PyObject *child, const struct delivery *delivery, struct aiospawn_reactor *reactor,
                  PyObject *ended) {
  switch (delivery->event.kind) {
    case AIOSPAWN_STARTED:
      return start(state, child);
    case AIOSPAWN_EXITED:
      return end(state, child, delivery, reactor, ended);
    default:
      return handle_output(state, child, delivery);
  }
}

static int is_unusual(const struct state *state, PyObject *child, const struct delivery *delivery) {
  uint32_t kind = delivery->event.kind;
  if (kind == AIOSPAWN_EXITED) return ends_unusually(state, child, delivery);
  return kind == AIOSPAWN_FAILED || kind == AIOSPAWN_DIED;
}

int asyncio_child_handle(const struct state *state, PyObject *child, const struct delivery *delivery, struct aiospawn_reactor *reactor,
                         PyObject *ended) {
  int unusual = is_unusual(state, child, delivery);
  if (unusual) return unusual == -1 ? -1 : event_pass_on(state, child, delivery);
  int handled = was_handled(state, child, delivery);
  if (handled) return handled == 1 ? 0 : -1;
  return handle(state, child, delivery, reactor, ended) == -1 ? -1 : mark_handled(state, child, delivery);
}
