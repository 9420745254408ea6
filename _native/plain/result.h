/* What came of a child, as `run` and `map` return it. */
#ifndef AIOSPAWN_PLAIN_RESULT_H
#define AIOSPAWN_PLAIN_RESULT_H

#include "state.h"

PyObject *completed(PyObject *module, PyObject *args);
PyObject *settle(PyObject *module, PyObject *args);

#endif
