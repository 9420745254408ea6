#include "request.h"

#include <string.h>

#include "environment.h"

enum { USUAL_ARGUMENTS = sizeof((struct arguments *)NULL)->usual / sizeof(PyObject *) };

/* A new reference to the bytes, NULL without an exception for what is neither a str nor bytes. */
static PyObject *encoded(PyObject *argument) {
  if (Py_IS_TYPE(argument, &PyUnicode_Type)) return PyUnicode_EncodeFSDefault(argument);
  return Py_IS_TYPE(argument, &PyBytes_Type) ? Py_NewRef(argument) : NULL;
}

void arguments_release(struct arguments *arguments) {
  while (arguments->count > 0) Py_DecRef(arguments->encoded[--arguments->count]);
  if (arguments->encoded != arguments->usual) PyMem_Free(arguments->encoded);
}

/* 1: it is there. 0: it is not for us; then, too, where a codec in Python has shortened the list. -1: an exception. */
static int encode_next(PyObject *list, struct arguments *arguments) {
  if (arguments->count >= PyList_Size(list)) return 0;
  PyObject *argument = Py_NewRef(PyList_GetItem(list, arguments->count)); /* another thread may change the list meanwhile */
  PyObject *bytes = encoded(argument);
  Py_DecRef(argument);
  if (!bytes) return PyErr_Occurred() ? -1 : 0;
  arguments->encoded[arguments->count++] = bytes;
  size_t length = (size_t)PyBytes_Size(bytes);
  arguments->size += length + 1;
  if (strlen(PyBytes_AsString(bytes)) == length) return 1;
  PyErr_SetString(PyExc_ValueError, "embedded null byte");
  return -1;
}

int arguments_encode(PyObject *list, struct arguments *arguments) {
  if (!Py_IS_TYPE(list, &PyList_Type) || PyList_Size(list) < 1) return 0;
  Py_ssize_t count = PyList_Size(list);
  arguments->count = 0;
  arguments->size = 0;
  arguments->encoded = count <= USUAL_ARGUMENTS ? arguments->usual : PyMem_Calloc((size_t)count, sizeof *arguments->encoded);
  if (!arguments->encoded) {
    PyErr_NoMemory();
    return -1;
  }
  int result = 1;
  while (result == 1 && arguments->count < count) result = encode_next(list, arguments);
  if (result != 1) arguments_release(arguments);
  return result;
}

static char *append(char *next, PyObject *bytes, size_t extra) {
  size_t size = (size_t)PyBytes_Size(bytes) + extra; /* there is a NUL behind all bytes */
  memcpy(next, PyBytes_AsString(bytes), size);
  return next + size;
}

PyObject *request_join(struct state *state, struct parts *parts, const struct arguments *arguments) {
  if (environment_read(state) == -1) return NULL;
  parts->counts[1] = (uint32_t)arguments->count;
  parts->counts[2] = state->variables;
  PyObject *first = arguments->encoded[0];
  size_t size = (size_t)PyBytes_Size(parts->head) + sizeof parts->counts + (size_t)PyBytes_Size(parts->steps);
  size += (size_t)(parts->paths ? PyBytes_Size(parts->paths) : PyBytes_Size(first) + 1) + (size_t)PyBytes_Size(state->block);
  PyObject *request = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(size + arguments->size));
  if (!request) return NULL;
  char *next = append(PyBytes_AsString(request), parts->head, 0);
  memcpy(next, parts->counts, sizeof parts->counts);
  next = append(next + sizeof parts->counts, parts->steps, 0);
  next = parts->paths ? append(next, parts->paths, 0) : append(next, first, 1);
  for (Py_ssize_t i = 0; i < arguments->count; i++) next = append(next, arguments->encoded[i], 1);
  append(next, state->block, 0);
  return request;
}
