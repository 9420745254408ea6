#include "deliver.h"

#include "asyncio_child.h"
#include "event.h"
#include "names.h"
#include "plain_child.h"

struct round {
  struct aiospawn_reactor *reactor;
  struct aiospawn_batch *batch;
  PyObject *targets, *ended, *post;
  long long first;                 /* the number of the batch's first event */
};

/* By a callback of the loop. */
static int post(const struct round *round, PyObject *target, const struct delivery *delivery) {
  const struct aiospawn_event *event = &delivery->event;
  PyObject *payload = event_payload(delivery), *done = NULL;
  if (payload)
    done = PyObject_CallFunction(round->post, "KO(LIIiiO)", (unsigned long long)event->token, target, delivery->number, event->kind,
                                 event->stream, event->value, event->extra, payload);
  Py_XDECREF(payload);
  Py_XDECREF(done);
  return done ? 0 : -1;
}

static int pass_on(const struct state *state, const struct round *round, PyObject *target, const struct delivery *delivery) {
  if (PyObject_TypeCheck(target, state->child_type))
    return plain_child_handle(state, (struct plain_child *)target, delivery, round->ended);
  int immediate = is_true(state, target, NAME_IMMEDIATE);
  if (immediate == -1) return -1;
  if (!immediate) return post(round, target, delivery);
  if (state->asyncio_child_type && PyObject_TypeCheck(target, state->asyncio_child_type))
    return asyncio_child_handle(state, target, delivery, round->reactor, round->ended);
  return event_pass_on(state, target, delivery);
}

static int handle(const struct state *state, const struct round *round, uint32_t place) {
  struct delivery delivery = {.event = round->batch->events[place], .number = round->first + place};
  delivery.data = round->batch->data + delivery.event.offset;
  delivery.usage = round->batch->usage + (size_t)place * AIOSPAWN_USAGE_SIZE;
  PyObject *token = PyLong_FromUnsignedLongLong(delivery.event.token);
  PyObject *target = token ? Py_XNewRef(PyDict_GetItemWithError(round->targets, token)) : NULL;
  Py_XDECREF(token);
  if (!target) return PyErr_Occurred() ? -1 : 0;
  int result = pass_on(state, round, target, &delivery);
  Py_DecRef(target);
  return result;
}

PyObject *deliver(PyObject *module, PyObject *args) {
  const struct state *state = PyModule_GetState(module);
  struct round round;
  PyObject *reactor, *batch;
  if (!PyArg_ParseTuple(args, "OOO!LO!O:deliver", &reactor, &batch, &PyDict_Type, &round.targets, &round.first, &PyList_Type, &round.ended,
                        &round.post))
    return NULL;
  round.reactor = PyLong_AsVoidPtr(reactor);
  if (!round.reactor) return NULL;
  round.batch = PyLong_AsVoidPtr(batch);
  if (!round.batch) return NULL;
  for (uint32_t place = round.batch->head; place < round.batch->count; place++) {
    if (handle(state, &round, place) == -1) return NULL;
    if (round.batch->head != place) break; /* a loop within has delivered it, and more */
    round.batch->head = place + 1;
  }
  return Py_NewRef(Py_None);
}
