#include "result.h"

#include <string.h>

#include "names.h"
#include "plain_child.h"

/* ---- of one child ---------------------------------------------------------------------------------------------------- */

static Py_ssize_t size_of(const struct plain_child *child, unsigned long stream) {
  Py_ssize_t size = 0;
  for (Py_ssize_t i = 0, count = PyList_Size(child->chunks); i < count; i++) {
    PyObject *chunk = PyList_GetItem(child->chunks, i);
    if (PyLong_AsUnsignedLong(PyTuple_GetItem(chunk, 1)) == stream) size += PyBytes_Size(PyTuple_GetItem(chunk, 2));
  }
  return size;
}

static PyObject *joined_output(const struct plain_child *child, unsigned long stream) {
  PyObject *bytes = PyBytes_FromStringAndSize(NULL, size_of(child, stream));
  char *next = bytes ? PyBytes_AsString(bytes) : NULL;
  for (Py_ssize_t i = 0, count = next ? PyList_Size(child->chunks) : 0; i < count; i++) {
    PyObject *chunk = PyList_GetItem(child->chunks, i), *data = PyTuple_GetItem(chunk, 2);
    if (PyLong_AsUnsignedLong(PyTuple_GetItem(chunk, 1)) != stream) continue;
    memcpy(next, PyBytes_AsString(data), (size_t)PyBytes_Size(data));
    next += PyBytes_Size(data);
  }
  return bytes;
}

/* Of a stream that is not kept: None. */
static PyObject *output(const struct plain_child *child, unsigned long stream, int keeps) {
  if (!keeps) return Py_NewRef(Py_None);
  if (!child->chunks) return PyBytes_FromStringAndSize(NULL, 0);
  PyObject *chunk = PyList_GetItem(child->chunks, 0);
  if (PyList_Size(child->chunks) == 1 && PyLong_AsUnsignedLong(PyTuple_GetItem(chunk, 1)) == stream)
    return Py_NewRef(PyTuple_GetItem(chunk, 2));
  return joined_output(child, stream);
}

static PyObject *or_none(PyObject *object) { return Py_NewRef(object ? object : Py_None); }

/* As `CompletedProcess(...)`, in the order of its attributes, without its function in Python. */
static PyObject *completed_of(const struct state *state, const struct plain_child *child, PyTypeObject *type, int keeps_stdout, int keeps_stderr) {
  PyObject *result = PyType_GenericAlloc(type, 0);
  if (result && set_owned(state, result, NAME_ARGS, Py_NewRef(child->args)) == 0 &&
      set_owned(state, result, NAME_RETURNCODE, or_none(child->returncode)) == 0 &&
      set_owned(state, result, NAME_STDOUT, output(child, 1, keeps_stdout)) == 0 &&
      set_owned(state, result, NAME_STDERR, output(child, 2, keeps_stderr)) == 0 &&
      set_owned(state, result, NAME_PID, PyLong_FromLong(child->pid)) == 0 &&
      set_owned(state, result, NAME_ELAPSED, PyFloat_FromDouble(child->elapsed)) == 0 &&
      set_owned(state, result, NAME_COMPLETE, Py_NewRef(Py_True)) == 0 && set_owned(state, result, NAME_LIMIT, Py_NewRef(Py_None)) == 0 &&
      set_owned(state, result, NAME_USAGE, or_none(child->usage)) == 0 && set_owned(state, result, NAME_CGROUP_PEAK, Py_NewRef(Py_None)) == 0)
    return result;
  Py_XDECREF(result);
  return NULL;
}

PyObject *completed(PyObject *module, PyObject *args) {
  struct state *state = PyModule_GetState(module);
  PyObject *type, *child;
  int keeps_stdout, keeps_stderr;
  if (!PyArg_ParseTuple(args, "O!O!pp:completed", &PyType_Type, &type, state->child_type, &child, &keeps_stdout, &keeps_stderr)) return NULL;
  return completed_of(state, (struct plain_child *)child, (PyTypeObject *)type, keeps_stdout, keeps_stderr);
}

/* ---- of many --------------------------------------------------------------------------------------------------------- */

struct settlement {
  PyObject *jobs, *completed_type, *result_type;
  int keeps_stdout, keeps_stderr;
  int is_plain;                    /* the output stays bytes */
  int retries;
  PyObject *results, *others;
  Py_ssize_t succeeded;
};

/* A failure that is tried again, an error, a child that something has taken over, text: these are not for us. */
static int is_usual(const struct settlement *settlement, const struct plain_child *child) {
  if (is_there(child->capture) || is_there(child->error) || !child->returncode) return 0;
  if (!settlement->is_plain && (settlement->keeps_stdout || settlement->keeps_stderr)) return 0;
  return !settlement->retries || PyLong_AsLong(child->returncode) == 0;
}

/* As `MapResult(...)`, a tuple, without its function in Python. */
static PyObject *result_of(const struct state *state, const struct settlement *settlement, const struct plain_child *child) {
  PyObject *completed = completed_of(state, child, (PyTypeObject *)settlement->completed_type, settlement->keeps_stdout, settlement->keeps_stderr);
  if (!completed) return NULL;
  PyObject *fields = Py_BuildValue("((nONOiddOO))", child->place, child->args, completed, Py_None, 1, child->started, child->elapsed, Py_None, Py_None);
  newfunc make = (newfunc)PyType_GetSlot(&PyTuple_Type, Py_tp_new);
  PyObject *result = fields ? make((PyTypeObject *)settlement->result_type, fields, NULL) : NULL;
  Py_XDECREF(fields);
  return result;
}

static int settle_one(const struct state *state, struct settlement *settlement, struct plain_child *child) {
  PyObject *key = PyLong_FromSsize_t(child->place);
  if (!key) return -1;
  int result = 0;
  if (PyDict_GetItemWithError(settlement->jobs, key) != (PyObject *)child) {
    result = PyErr_Occurred() ? -1 : 0; /* it has been settled */
  } else if (!is_usual(settlement, child)) {
    result = PyList_Append(settlement->others, (PyObject *)child);
  } else {
    PyObject *made = result_of(state, settlement, child);
    result = !made || PyList_Append(settlement->results, made) == -1 ? -1 : PyDict_DelItem(settlement->jobs, key);
    settlement->succeeded += PyLong_AsLong(child->returncode) == 0;
    Py_XDECREF(made);
  }
  Py_DecRef(key);
  return result;
}

PyObject *settle(PyObject *module, PyObject *args) {
  struct state *state = PyModule_GetState(module);
  struct settlement settlement = {.succeeded = 0};
  PyObject *ended;
  if (!PyArg_ParseTuple(args, "O!O!(pp)ppO!O!:settle", &PyList_Type, &ended, &PyDict_Type, &settlement.jobs, &settlement.keeps_stdout,
                        &settlement.keeps_stderr, &settlement.is_plain, &settlement.retries, &PyType_Type, &settlement.completed_type,
                        &PyType_Type, &settlement.result_type))
    return NULL;
  settlement.results = PyList_New(0);
  settlement.others = PyList_New(0);
  int result = settlement.results && settlement.others ? 0 : -1;
  for (Py_ssize_t i = 0; result == 0 && i < PyList_Size(ended); i++) {
    PyObject *child = Py_NewRef(PyList_GetItem(ended, i));
    if (PyObject_TypeCheck(child, state->child_type)) result = settle_one(state, &settlement, (struct plain_child *)child);
    Py_DecRef(child);
  }
  PyObject *answer = NULL;
  if (result == 0 && PyList_SetSlice(ended, 0, PyList_Size(ended), NULL) == 0)
    answer = Py_BuildValue("(OOn)", settlement.results, settlement.others, settlement.succeeded);
  Py_XDECREF(settlement.results);
  Py_XDECREF(settlement.others);
  return answer;
}
