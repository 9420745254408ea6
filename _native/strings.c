/* The strings of a launch: the environment that children inherit, and a request that is joined of known parts and arguments.
 *
 * An extension module without cffi, which releases the global interpreter lock around every call: while it is held, no
 * os.putenv() of another thread moves the environment under the reader, and no signal's handler runs between a launch and its
 * entry in a table. Only CPython's stable ABI is used. */
#include <Python.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "aiospawn.h"

/* ---- the environment, as the C library has it: os.putenv() and libraries change it behind os.environ --------------------- */

typedef int launch_function(struct aiospawn_reactor *, const unsigned char *, size_t, struct aiospawn_launched *);

struct state {
  PyObject *block;         /* bytes: the strings as they were last read, each with its NUL; NULL before the first time */
  uint32_t variables;      /* how many they are */
  launch_function *launch; /* aiospawn_launch(), which is in another library */
  PyObject *token, *pid;   /* names */
};

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

/* The block is up to date then. -1 with an exception where there is no memory. */
static int read_environment(struct state *state) {
  if (state->block && is_known(PyBytes_AsString(state->block), (size_t)PyBytes_Size(state->block))) return 0;
  uint32_t variables;
  PyObject *block = copied(&variables), *before = state->block;
  if (!block) return -1;
  state->block = block;
  state->variables = variables;
  Py_XDECREF(before);
  return 0;
}

static PyObject *environment(PyObject *module, PyObject *Py_UNUSED(nothing)) {
  struct state *state = PyModule_GetState(module);
  if (read_environment(state) == -1) return NULL;
  return Py_BuildValue("(kO)", (unsigned long)state->variables, state->block);
}

/* ---- a request -------------------------------------------------------------------------------------------------------- */

enum { USUAL_ARGUMENTS = 32 };

/* A new reference to the bytes, NULL without an exception for what is neither a str nor bytes. */
static PyObject *encoded(PyObject *argument) {
  if (Py_IS_TYPE(argument, &PyUnicode_Type)) return PyUnicode_EncodeFSDefault(argument);
  return Py_IS_TYPE(argument, &PyBytes_Type) ? Py_NewRef(argument) : NULL;
}

static void release(PyObject **argv, Py_ssize_t count) {
  while (count > 0) Py_DecRef(argv[--count]);
}

/* 1: each is there, without a NUL; *size is theirs, with the NUL behind each. 0: this is not for us. -1: an exception. */
static int encode(PyObject *arguments, PyObject **argv, Py_ssize_t count, size_t *size) {
  Py_ssize_t done = 0;
  for (; done < count; done++) {
    PyObject *argument = PyList_GetItem(arguments, done); /* borrowed; NULL where a codec in Python has shortened the list */
    if (!argument || !(argv[done] = encoded(argument))) break;
    size_t length = (size_t)PyBytes_Size(argv[done]);
    if (strlen(PyBytes_AsString(argv[done])) != length) {
      PyErr_SetString(PyExc_ValueError, "embedded null byte");
      done++;
      break;
    }
    *size += length + 1;
  }
  if (done == count && !PyErr_Occurred()) return 1;
  release(argv, done);
  return PyErr_Occurred() ? -1 : 0;
}

static char *append(char *next, PyObject *bytes, size_t extra) {
  size_t size = (size_t)PyBytes_Size(bytes) + extra; /* there is a NUL behind all bytes */
  memcpy(next, PyBytes_AsString(bytes), size);
  return next + size;
}

struct parts {
  PyObject *head, *steps; /* bytes, as the others */
  PyObject *paths;        /* each with its NUL; NULL: the first argument */
  uint32_t counts[4];     /* of struct aiospawn_request, from candidates on */
};

static PyObject *join(const struct state *state, const struct parts *parts, PyObject *const *argv, Py_ssize_t count, size_t size) {
  size += (size_t)PyBytes_Size(parts->head) + sizeof parts->counts + (size_t)PyBytes_Size(parts->steps);
  size += (size_t)(parts->paths ? PyBytes_Size(parts->paths) : PyBytes_Size(argv[0]) + 1) + (size_t)PyBytes_Size(state->block);
  PyObject *request = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
  if (!request) return NULL;
  char *next = append(PyBytes_AsString(request), parts->head, 0);
  memcpy(next, parts->counts, sizeof parts->counts);
  next = append(next + sizeof parts->counts, parts->steps, 0);
  next = parts->paths ? append(next, parts->paths, 0) : append(next, argv[0], 1);
  for (Py_ssize_t i = 0; i < count; i++) next = append(next, argv[i], 1);
  append(next, state->block, 0);
  return request;
}

/* The environment is read last: a codec in Python may have changed it. */
static PyObject *encode_and_join(struct state *state, struct parts *parts, PyObject *arguments, PyObject **argv, Py_ssize_t count) {
  size_t size = 0;
  int is_ours = encode(arguments, argv, count, &size);
  if (is_ours == -1) return NULL;
  if (!is_ours) return Py_NewRef(Py_None);
  PyObject *request = NULL;
  if (read_environment(state) == 0) {
    parts->counts[1] = (uint32_t)count;
    parts->counts[2] = state->variables;
    request = join(state, parts, argv, count, size);
  }
  release(argv, count);
  return request;
}

/* The request as bytes; None: this is not for us. */
static PyObject *joined_of(struct state *state, struct parts *parts, PyObject *arguments) {
  PyObject *usual[USUAL_ARGUMENTS] = {NULL}; /* for the analyzer */
  if (Py_IsNone(parts->paths)) parts->paths = NULL;
  if (!Py_IS_TYPE(arguments, &PyList_Type) || PyList_Size(arguments) < 1) return Py_NewRef(Py_None);
  Py_ssize_t count = PyList_Size(arguments);
  PyObject **argv = count <= USUAL_ARGUMENTS ? usual : PyMem_Calloc((size_t)count, sizeof *argv);
  if (!argv) return PyErr_NoMemory();
  PyObject *request = encode_and_join(state, parts, arguments, argv, count);
  if (argv != usual) PyMem_Free(argv);
  return request;
}

static PyObject *joined(PyObject *module, PyObject *args) {
  struct parts parts;
  PyObject *arguments;
  if (!PyArg_ParseTuple(args, "SSIIOO:joined", &parts.head, &parts.steps, &parts.counts[3], &parts.counts[0], &parts.paths, &arguments))
    return NULL;
  return joined_of(PyModule_GetState(module), &parts, arguments);
}

/* ---- a launch --------------------------------------------------------------------------------------------------------- */

/* -1 with an exception where there is no memory: the child runs on, and is dropped at its end. */
static int enter(const struct state *state, const struct aiospawn_launched *launched, PyObject *targets, PyObject *target) {
  PyObject *token = PyLong_FromUnsignedLongLong(launched->token), *pid = PyLong_FromLong(launched->pid);
  int result = -1;
  if (token && pid && PyDict_SetItem(targets, token, target) == 0 && PyObject_SetAttr(target, state->token, token) == 0)
    result = PyObject_SetAttr(target, state->pid, pid);
  Py_XDECREF(token);
  Py_XDECREF(pid);
  return result;
}

static PyObject *launched(PyObject *module, PyObject *args) {
  struct state *state = PyModule_GetState(module);
  struct parts parts;
  PyObject *reactor, *arguments, *targets, *target;
  if (!PyArg_ParseTuple(args, "OOOSSIIOO:launched", &reactor, &targets, &target, &parts.head, &parts.steps, &parts.counts[3],
                        &parts.counts[0], &parts.paths, &arguments))
    return NULL;
  struct aiospawn_reactor *where = PyLong_AsVoidPtr(reactor);
  if (PyErr_Occurred()) return NULL;
  PyObject *request = joined_of(state, &parts, arguments);
  if (!request || Py_IsNone(request)) return request;
  struct aiospawn_launched child;
  int result;
  Py_BEGIN_ALLOW_THREADS
  result = state->launch(where, (const unsigned char *)PyBytes_AsString(request), (size_t)PyBytes_Size(request), &child);
  Py_END_ALLOW_THREADS
  Py_DecRef(request);
  if (result == 0 && enter(state, &child, targets, target) == -1) return NULL;
  return PyLong_FromLong(result);
}

/* ---- the module ------------------------------------------------------------------------------------------------------- */

static PyObject *use(PyObject *module, PyObject *address) {
  struct state *state = PyModule_GetState(module);
  void *launch = PyLong_AsVoidPtr(address);
  if (PyErr_Occurred()) return NULL;
  memcpy(&state->launch, &launch, sizeof launch); /* ISO C has no conversion */
  return Py_NewRef(Py_None);
}

static int begin(PyObject *module) {
  struct state *state = PyModule_GetState(module);
  state->token = PyUnicode_InternFromString("token");
  state->pid = PyUnicode_InternFromString("pid");
  return state->token && state->pid ? 0 : -1;
}

static void forget(void *module) {
  struct state *state = PyModule_GetState(module);
  if (!state) return;
  Py_CLEAR(state->block);
  Py_CLEAR(state->token);
  Py_CLEAR(state->pid);
}

static PyMethodDef functions[] = {
    {"environment", environment, METH_NOARGS, "How many variables the process's own has, and their strings, each with its NUL."},
    {"joined", joined, METH_VARARGS,
     "The request of a head, steps, lease in ms, number of paths, these (bytes, each with its NUL; None: the first argument), and "
     "a list of arguments, in the environment of now. None where one of these is neither a str nor bytes."},
    {"launched", launched, METH_VARARGS,
     "Launches such a request on a reactor of that address: 0, or a negated errno, or None as above. A table has the target by its "
     "token from then on, and the target its token and pid."},
    {"use", use, METH_O, "The address of aiospawn_launch()."},
    {NULL, NULL, 0, NULL},
};
static PyModuleDef_Slot slots[] = {{Py_mod_exec, begin}, {0, NULL}};
static struct PyModuleDef module = {.m_base = PyModuleDef_HEAD_INIT, .m_name = "_strings", .m_size = sizeof(struct state),
                                    .m_methods = functions, .m_slots = slots, .m_free = forget};

PyMODINIT_FUNC PyInit__strings(void) { return PyModuleDef_Init(&module); }
