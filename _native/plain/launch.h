/* Launches: of one child, and of as many commands of a source as there is room for. */
#ifndef AIOSPAWN_PLAIN_LAUNCH_H
#define AIOSPAWN_PLAIN_LAUNCH_H

#include "state.h"

PyObject *launch_one(PyObject *module, PyObject *args);
PyObject *launch_request(PyObject *module, PyObject *args);
PyObject *launch_all(PyObject *module, PyObject *args);

#endif
