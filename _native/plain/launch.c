#include "launch.h"

#include "plain_child.h"
#include "request.h"

/* ---- one child ------------------------------------------------------------------------------------------------------- */

static int set_number(PyObject *target, PyObject *name, long number) {
  PyObject *object = PyLong_FromLong(number);
  int result = object ? PyObject_SetAttr(target, name, object) : -1;
  Py_XDECREF(object);
  return result;
}

/* -1 with an exception where there is no memory: who has the child can kill it by its token. */
static int enter(const struct state *state, const struct aiospawn_launched *launched, PyObject *targets, PyObject *target) {
  PyObject *token = PyLong_FromUnsignedLongLong(launched->token);
  int result = -1;
  if (PyObject_TypeCheck(target, state->child_type)) {
    struct plain_child *child = (struct plain_child *)target;
    child->token = launched->token;
    child->pid = launched->pid;
    result = token ? 0 : -1;
  } else if (token && PyObject_SetAttr(target, state->names[NAME_TOKEN], token) == 0 &&
             set_number(target, state->names[NAME_OWN_PID], launched->pid) == 0) {
    result = set_number(target, state->names[NAME_OWN_PIDFD], launched->pidfd);
  }
  if (result == 0) result = PyDict_SetItem(targets, token, target);
  Py_XDECREF(token);
  return result;
}

/* As `subprocess.Popen` raises it. The hooks may do anything with their list. */
static int audit(const struct state *state, PyObject *arguments) {
  PyObject *name = Py_XNewRef(PyList_GetItem(arguments, 0)), *list = PyList_GetSlice(arguments, 0, PyList_Size(arguments));
  PyObject *done = NULL;
  if (name && list) done = PyObject_CallFunctionObjArgs(state->audit, state->names[NAME_POPEN], name, list, Py_None, Py_None, NULL);
  Py_XDECREF(name);
  Py_XDECREF(list);
  Py_XDECREF(done);
  return done ? 0 : -1;
}

/* 0, or a negated errno, and nothing was made; 1 with an exception. */
static int launch(const struct state *state, struct aiospawn_reactor *reactor, PyObject *targets, PyObject *request,
                  PyObject *target) {
  struct aiospawn_launched launched;
  const unsigned char *bytes = (const unsigned char *)PyBytes_AsString(request);
  size_t size = (size_t)PyBytes_Size(request);
  int result;
  Py_BEGIN_ALLOW_THREADS
  result = state->launch(reactor, bytes, size, &launched);
  Py_END_ALLOW_THREADS
  return result == 0 && enter(state, &launched, targets, target) == -1 ? 1 : result;
}

/* Where a program of this name may be, as `JoinedRequest.paths_of` has it: a new reference to what the parts refer to. NULL with an
 * exception, or without one for a name that is not for us. */
static PyObject *find_paths(struct parts *parts, PyObject *paths_of, PyObject *name) {
  if (!Py_IS_TYPE(name, &PyUnicode_Type)) return NULL;
  parts->counts[0] = 1;
  parts->paths = NULL;
  if (PyUnicode_FindChar(name, '/', 0, PyUnicode_GetLength(name), 1) >= 0) return Py_NewRef(Py_None);
  PyObject *paths = PyObject_CallFunctionObjArgs(paths_of, name, NULL);
  if (!paths || PyArg_ParseTuple(paths, "IS", &parts->counts[0], &parts->paths)) return paths;
  Py_DecRef(paths);
  return NULL;
}

/* 1: the request is there. 0: this command is not for us. -1: an exception. */
static int prepare(struct state *state, struct parts *parts, PyObject *paths_of, PyObject *command, PyObject **request) {
  struct arguments arguments;
  PyObject *name = Py_NewRef(PyList_GetItem(command, 0)), *paths = find_paths(parts, paths_of, name);
  Py_DecRef(name);
  if (!paths) return PyErr_Occurred() ? -1 : 0;
  int result = arguments_encode(command, &arguments);
  if (result == 1) {
    *request = audit(state, command) == 0 ? request_join(state, parts, &arguments) : NULL;
    arguments_release(&arguments);
    result = *request ? 1 : -1;
  }
  Py_DecRef(paths);
  return result;
}

PyObject *launch_one(PyObject *module, PyObject *args) {
  struct state *state = PyModule_GetState(module);
  struct parts parts;
  PyObject *address, *list, *targets, *target, *paths_of, *request = NULL;
  if (!PyArg_ParseTuple(args, "OO!O(SSI)OO!:launch_one", &address, &PyDict_Type, &targets, &target, &parts.head, &parts.steps,
                        &parts.counts[3], &paths_of, &PyList_Type, &list))
    return NULL;
  struct aiospawn_reactor *reactor = PyLong_AsVoidPtr(address);
  if (PyErr_Occurred()) return NULL;
  int prepared = PyList_Size(list) ? prepare(state, &parts, paths_of, list, &request) : 0;
  if (prepared != 1) return prepared ? NULL : Py_NewRef(Py_None);
  int result = launch(state, reactor, targets, request, target);
  Py_DecRef(request);
  return result == 1 ? NULL : PyLong_FromLong(result);
}

PyObject *launch_request(PyObject *module, PyObject *args) {
  const struct state *state = PyModule_GetState(module);
  PyObject *address, *targets, *target, *request;
  if (!PyArg_ParseTuple(args, "OO!OS:launch_request", &address, &PyDict_Type, &targets, &target, &request)) return NULL;
  struct aiospawn_reactor *reactor = PyLong_AsVoidPtr(address);
  if (PyErr_Occurred()) return NULL;
  int result = launch(state, reactor, targets, request, target);
  return result == 1 ? NULL : PyLong_FromLong(result);
}

/* ---- many ------------------------------------------------------------------------------------------------------------ */

struct launches {
  PyObject *source, *iterator, *none_yet;
  Py_ssize_t most;
  int may_launch;
  struct siblings siblings;
  PyObject *address;
  struct aiospawn_reactor *reactor;
  PyObject *targets, *jobs;
  struct parts parts;
  PyObject *paths_of;              /* by the name: how many paths, and these */
  Py_ssize_t taken;
};

/* 1: there is a command. 0: none now, or none any more. -1: an exception. */
static int take(const struct state *state, struct launches *launches, PyObject **command) {
  PyObject *stopped = PyObject_GetAttr(launches->source, state->names[NAME_STOPPED]);
  int is_over = stopped ? PyObject_IsTrue(stopped) : -1;
  Py_XDECREF(stopped);
  if (is_over == -1) return -1;
  *command = is_over ? NULL : PyIter_Next(launches->iterator);
  if (!*command) return PyErr_Occurred() ? -1 : PyObject_SetAttr(launches->source, state->names[NAME_IS_OVER], Py_True);
  if (*command == launches->none_yet) {
    Py_DecRef(*command);
    return 0;
  }
  PyObject *taken = PyLong_FromSsize_t(launches->taken + 1);
  if (taken && PyObject_SetAttr(launches->source, state->names[NAME_TAKEN], taken) == 0) {
    Py_DecRef(taken);
    launches->taken++;
    return 1;
  }
  Py_XDECREF(taken);
  Py_DecRef(*command);
  return -1;
}

/* The exception that is raised; then it is not raised any more. */
static PyObject *caught(void) {
  PyObject *type, *value, *traceback;
  PyErr_Fetch(&type, &value, &traceback);
  PyErr_NormalizeException(&type, &value, &traceback);
  Py_XDECREF(type);
  Py_XDECREF(traceback);
  return value;
}

/* A hook has refused the launch. */
static PyObject *refused(const struct launches *launches, PyObject *command, Py_ssize_t number) {
  PyObject *error = caught();
  struct plain_child *child = error ? plain_child_new(&launches->siblings, number, command) : NULL;
  PyObject *result = child ? Py_BuildValue("(nOO)", number, (PyObject *)child, error) : NULL;
  Py_XDECREF((PyObject *)child);
  Py_XDECREF(error);
  return result;
}

/* Whatever else is wrong with a command, `run` has the words for it. */
static int is_for_run(void) {
  int is_error = PyErr_ExceptionMatches(PyExc_Exception);
  if (is_error) PyErr_Clear();
  return is_error;
}

/* None: it was launched. A tuple: it was not. */
static PyObject *launch_next(struct state *state, struct launches *launches, PyObject *command, Py_ssize_t number) {
  PyObject *request = NULL;
  int is_ours = launches->may_launch && Py_IS_TYPE(command, &PyList_Type) && PyList_Size(command);
  int prepared = is_ours ? prepare(state, &launches->parts, launches->paths_of, command, &request) : 0;
  if (prepared == -1 && PyErr_ExceptionMatches(PyExc_OSError)) return refused(launches, command, number);
  if (prepared == 0 || (prepared == -1 && is_for_run())) return Py_BuildValue("(nOO)", number, command, Py_None);
  if (prepared == -1) return NULL;
  struct plain_child *child = plain_child_new(&launches->siblings, number, command);
  PyObject *key = child ? PyLong_FromSsize_t(number) : NULL, *result = NULL;
  if (key && PyDict_SetItem(launches->jobs, key, (PyObject *)child) == 0) {
    int launched = launch(state, launches->reactor, launches->targets, request, (PyObject *)child);
    if (launched == 0) result = Py_NewRef(Py_None);
    else if (launched < 0 && PyDict_DelItem(launches->jobs, key) == 0) result = Py_BuildValue("(nOi)", number, (PyObject *)child, -launched);
  }
  Py_DecRef(request);
  Py_XDECREF(key);
  Py_XDECREF((PyObject *)child);
  return result;
}

PyObject *launch_all(PyObject *module, PyObject *args) {
  struct state *state = PyModule_GetState(module);
  struct launches launches = {.taken = 0};
  struct siblings *siblings = &launches.siblings;
  struct parts *parts = &launches.parts;
  if (!PyArg_ParseTuple(args, "OOOnnp(O!OOOOO)(SSIO):launch_all", &launches.source, &launches.iterator, &launches.none_yet, &launches.most,
                        &launches.taken, &launches.may_launch, &PyType_Type, &siblings->type, &siblings->owner, &siblings->reactor,
                        &launches.address, &launches.targets, &launches.jobs, &parts->head, &parts->steps, &parts->counts[3],
                        &launches.paths_of))
    return NULL;
  launches.reactor = PyLong_AsVoidPtr(launches.address);
  if (PyErr_Occurred() || siblings_read(state, siblings) == -1) return NULL;
  PyObject *command, *result = Py_NewRef(Py_None);
  for (Py_ssize_t left = launches.most; left > 0 && result && Py_IsNone(result); left--) {
    int taken = take(state, &launches, &command);
    if (taken == 0) break;
    Py_DecRef(result);
    if (taken == -1) return NULL;
    result = launch_next(state, &launches, command, launches.taken - 1);
    Py_DecRef(command);
  }
  return result;
}
