#include "event.h"

PyObject *event_payload(const struct delivery *delivery) {
  const struct aiospawn_event *event = &delivery->event;
  switch (event->kind) {
    case AIOSPAWN_DATA:
      return PyBytes_FromStringAndSize((const char *)delivery->data, (Py_ssize_t)event->length);
    case AIOSPAWN_EXITED:
      if (event->extra & 1) return PyBytes_FromStringAndSize((const char *)delivery->usage, AIOSPAWN_USAGE_SIZE);
      return Py_NewRef(Py_None);
    case AIOSPAWN_FAILED:
      return PyLong_FromUnsignedLong(event->offset);
    default:
      return Py_NewRef(Py_None);
  }
}

int event_pass_on(const struct state *state, PyObject *target, const struct delivery *delivery) {
  const struct aiospawn_event *event = &delivery->event;
  PyObject *payload = event_payload(delivery), *on_event = payload ? PyObject_GetAttr(target, state->names[NAME_ON_EVENT]) : NULL;
  PyObject *result = NULL;
  if (on_event)
    result = PyObject_CallFunction(on_event, "LIIiiO", delivery->number, event->kind, event->stream, event->value, event->extra, payload);
  Py_XDECREF(payload);
  Py_XDECREF(on_event);
  Py_XDECREF(result);
  return result ? 0 : -1;
}
