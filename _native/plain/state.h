/* What the extension module keeps, and the names that it uses of Python's objects.
 *
 * An extension module without cffi, which releases the global interpreter lock around every call: while it is held, no
 * os.putenv() of another thread moves the environment under the reader, and no signal's handler runs between a launch and its
 * entry in a table, or between the steps of a child's end. Only CPython's stable ABI is used.
 *
 * Ownership. Functions return new references, and borrow what they are given, unless they say otherwise. */
#ifndef AIOSPAWN_PLAIN_STATE_H
#define AIOSPAWN_PLAIN_STATE_H

#include <Python.h>
#include <stdint.h>

#include "aiospawn.h"

typedef int launch_function(struct aiospawn_reactor *, const unsigned char *, size_t, struct aiospawn_launched *);
typedef int release_function(struct aiospawn_reactor *, uint64_t);

/* The attributes of others; state.c has their names. */
enum name {
  NAME_ARGS, NAME_CGROUP_PEAK, NAME_COMPLETE, NAME_CONNECTION_MADE, NAME_DONE, NAME_ELAPSED, NAME_ENDED, NAME_EXIT_WAITERS,
  NAME_FAILED, NAME_IMMEDIATE, NAME_IS_DONE, NAME_IS_OVER, NAME_IS_PLAIN, NAME_IS_WOKEN, NAME_JOINED, NAME_LAUNCH, NAME_LIMIT,
  NAME_NUMBER, NAME_ON_EVENT, NAME_OPEN_PIPES, NAME_OUTGROWN, NAME_OWN_PID, NAME_OWN_PIDFD, NAME_OWN_PIPES, NAME_OWN_RETURNCODE, NAME_PID,
  NAME_PIPES, NAME_PIPE_LOST, NAME_POPEN, NAME_PROTOCOL, NAME_REQUEST, NAME_RESUMED, NAME_RETURNCODE, NAME_SET_RESULT, NAME_STANDING, NAME_STDERR,
  NAME_STDOUT, NAME_STOPPED, NAME_TAKEN, NAME_TAKEN_OVER, NAME_TOKEN, NAME_UNREAD, NAME_UNREAD_MOST, NAME_USAGE, NAME_WAKE, NAMES
};

/* Where a child of asyncio's stands, as `lifecycle` has it, no call of its protocol being due. */
enum standing { LAUNCHING, RUNNING, UNPIPED, FINISHED, STANDINGS };

struct state {
  PyObject *block;         /* bytes: the environment's strings as they were last read; NULL before the first time */
  uint32_t variables;      /* how many they are */
  launch_function *launch; /* aiospawn_launch() and aiospawn_release(), which are in another library */
  release_function *release;
  PyObject *audit;         /* sys.audit */
  PyTypeObject *child_type;
  PyTypeObject *asyncio_child_type; /* with its standings: NULL before know_children() */
  PyObject *standings[STANDINGS];
  PyObject *names[NAMES];
};

/* -1 with an exception. */
int state_begin(struct state *state);
int state_traverse(const struct state *state, visitproc visit, void *arg);
void state_clear(struct state *state);

#endif
