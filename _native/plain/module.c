/* The module: what is usual in the life of children. */
#include <string.h>

#include "asyncio_child.h"
#include "deliver.h"
#include "environment.h"
#include "launch.h"
#include "plain_child.h"
#include "request.h"
#include "result.h"

static PyObject *environment(PyObject *module, PyObject *Py_UNUSED(nothing)) {
  struct state *state = PyModule_GetState(module);
  if (environment_read(state) == -1) return NULL;
  return Py_BuildValue("(kO)", (unsigned long)state->variables, state->block);
}

static PyObject *joined(PyObject *module, PyObject *args) {
  struct parts parts;
  struct arguments arguments;
  PyObject *list;
  if (!PyArg_ParseTuple(args, "SSIIOO:joined", &parts.head, &parts.steps, &parts.counts[3], &parts.counts[0], &parts.paths, &list))
    return NULL;
  if (Py_IsNone(parts.paths)) parts.paths = NULL;
  int encoded = arguments_encode(list, &arguments);
  if (encoded != 1) return encoded ? NULL : Py_NewRef(Py_None);
  PyObject *request = request_join(PyModule_GetState(module), &parts, &arguments);
  arguments_release(&arguments);
  return request;
}

static PyObject *new_child(PyObject *module, PyObject *args) {
  struct siblings siblings;
  PyObject *arguments;
  Py_ssize_t place;
  if (!PyArg_ParseTuple(args, "O!OnOO:new_child", &PyType_Type, &siblings.type, &siblings.owner, &place, &arguments, &siblings.reactor))
    return NULL;
  if (siblings_read(PyModule_GetState(module), &siblings) == -1) return NULL;
  return (PyObject *)plain_child_new(&siblings, place, arguments);
}

static PyObject *use(PyObject *module, PyObject *args) {
  struct state *state = PyModule_GetState(module);
  PyObject *launch, *release;
  if (!PyArg_ParseTuple(args, "OO:use", &launch, &release)) return NULL;
  void *functions[] = {PyLong_AsVoidPtr(launch), PyLong_AsVoidPtr(release)};
  if (PyErr_Occurred()) return NULL;
  memcpy(&state->launch, &functions[0], sizeof functions[0]); /* ISO C has no conversion */
  memcpy(&state->release, &functions[1], sizeof functions[1]);
  return Py_NewRef(Py_None);
}

/* ---- the module ------------------------------------------------------------------------------------------------------ */

static int begin(PyObject *module) {
  struct state *state = PyModule_GetState(module);
  if (state_begin(state) == -1) return -1;
  PyObject *type = plain_child_type(module);
  state->child_type = (PyTypeObject *)type;
  return type ? PyModule_AddObjectRef(module, "Child", type) : -1;
}

static int traverse(PyObject *module, visitproc visit, void *arg) {
  struct state *state = PyModule_GetState(module);
  return state ? state_traverse(state, visit, arg) : 0;
}

static int clear(PyObject *module) {
  struct state *state = PyModule_GetState(module);
  if (state) state_clear(state);
  return 0;
}

static void forget(void *module) { clear(module); }

static PyMethodDef functions[] = {
    {"environment", environment, METH_NOARGS, "How many variables the process's own has, and their strings, each with its NUL."},
    {"joined", joined, METH_VARARGS,
     "The request of a head, steps, lease in ms, number of paths, these (bytes, each with its NUL; None: the first argument), and "
     "a list of arguments, in the environment of now. None where one of these is neither a str nor bytes."},
    {"new_child", new_child, METH_VARARGS,
     "A child of a type, an owner, at a place of the owner's, with a list of arguments, for a reactor. It begins now."},
    {"launch_one", launch_one, METH_VARARGS,
     "Launches such a request on a reactor of that address, the head, steps and lease of which are a tuple, and its paths what a function "
     "says of the name: 0, or a negated errno, or None as above. A table has the child by its token from then on."},
    {"launch_request", launch_request, METH_VARARGS, "As `launch_one`, of a whole request: 0, or a negated errno."},
    {"launch_all", launch_all, METH_VARARGS,
     "Launches what a source gives, up to a number of commands. None, or a command that was not launched: its number and itself, or "
     "its child and an errno."},
    {"deliver", deliver, METH_VARARGS,
     "The events of a batch of a reactor, both by their addresses, from its head on, to the targets in a table; what they raise, with "
     "the head at that event."},
    {"completed", completed, METH_VARARGS, "A CompletedProcess of a child that has ended, with its output as bytes."},
    {"settle", settle, METH_VARARGS,
     "Empties a list of children that have ended: results, which are not among the jobs any more, other children, and how many "
     "succeeded."},
    {"know_children", know_children, METH_VARARGS,
     "The class of asyncio's children, and where they stand when they are launched, run with pipes and without, and are over."},
    {"use", use, METH_VARARGS, "The addresses of aiospawn_launch() and aiospawn_release()."},
    {NULL, NULL, 0, NULL},
};
static PyModuleDef_Slot slots[] = {{Py_mod_exec, begin}, {0, NULL}};
static struct PyModuleDef definition = {.m_base = PyModuleDef_HEAD_INIT, .m_name = "_plain", .m_size = sizeof(struct state),
                                        .m_methods = functions, .m_slots = slots, .m_traverse = traverse, .m_clear = clear,
                                        .m_free = forget};

PyMODINIT_FUNC PyInit__plain(void) { return PyModuleDef_Init(&definition); }
