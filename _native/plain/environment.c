#include "environment.h"

#include <string.h>
#include <unistd.h>

/* Are these the strings, one behind the other? Every byte is compared: a C program may give `environ` another array, and the caller
 * of putenv(3) may write into the string that it gave. */
static int is_known(const char *known, size_t size) {
  for (char **entry = environ; entry && *entry; entry++) {
    size_t length = strlen(*entry) + 1;
    if (length > size || memcmp(known, *entry, length) != 0) return 0;
    known += length;
    size -= length;
  }
  return size == 0;
}

static size_t size_now(uint32_t *variables) {
  size_t size = 0;
  *variables = 0;
  for (char **entry = environ; entry && *entry; entry++, ++*variables) size += strlen(*entry) + 1;
  return size;
}

/* 0: it has grown or shrunk meanwhile. A thread that runs no Python code needs no lock to write into a string. */
static int copy(char *block, size_t size, uint32_t variables) {
  char *next = block, *end = block + size;
  for (char **entry = environ; entry && *entry; entry++)
    if (!variables-- || next == end || !(next = memccpy(next, *entry, 0, (size_t)(end - next)))) return 0;
  return next == end && !variables;
}

static PyObject *copied(uint32_t *variables) {
  for (;;) {
    size_t size = size_now(variables);
    PyObject *block = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (!block || copy(PyBytes_AsString(block), size, *variables)) return block;
    Py_DecRef(block);
  }
}

int environment_read(struct state *state) {
  if (state->block && is_known(PyBytes_AsString(state->block), (size_t)PyBytes_Size(state->block))) return 0;
  uint32_t variables;
  PyObject *block = copied(&variables), *before = state->block;
  if (!block) return -1;
  state->block = block;
  state->variables = variables;
  Py_XDECREF(before);
  return 0;
}
