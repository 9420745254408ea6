/* The events of a batch, each to the target of its child. */
#ifndef AIOSPAWN_PLAIN_DELIVER_H
#define AIOSPAWN_PLAIN_DELIVER_H

#include "state.h"

PyObject *deliver(PyObject *module, PyObject *args);

#endif
