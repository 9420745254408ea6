/* Attributes of Python objects by the names that the module keeps. New references; -1, or NULL, with an exception. */
#ifndef AIOSPAWN_PLAIN_NAMES_H
#define AIOSPAWN_PLAIN_NAMES_H

#include "state.h"

static inline PyObject *get(const struct state *state, PyObject *object, enum name name) {
  return PyObject_GetAttr(object, state->names[name]);
}

static inline int set(const struct state *state, PyObject *object, enum name name, PyObject *value) {
  return PyObject_SetAttr(object, state->names[name], value);
}

/* Of a new reference, which is taken; NULL: the exception is there. */
static inline int set_owned(const struct state *state, PyObject *object, enum name name, PyObject *value) {
  int result = value ? set(state, object, name, value) : -1;
  Py_XDECREF(value);
  return result;
}

static inline int is_true(const struct state *state, PyObject *object, enum name name) {
  PyObject *value = get(state, object, name);
  int result = value ? PyObject_IsTrue(value) : -1;
  Py_XDECREF(value);
  return result;
}

/* A method's result; NULL for no argument. */
static inline PyObject *call(const struct state *state, PyObject *object, enum name name, PyObject *argument) {
  return PyObject_CallMethodObjArgs(object, state->names[name], argument, NULL);
}

/* The new reference in the place of that one. */
static inline void replace(PyObject **place, PyObject *object) {
  PyObject *before = *place;
  *place = object;
  Py_XDECREF(before);
}

#endif
