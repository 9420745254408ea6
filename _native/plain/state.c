#include "state.h"

static const char *const texts[NAMES] = {
    "args",   "cgroup_peak", "complete", "elapsed", "ended",      "_failed", "immediate", "is_over", "is_woken",   "joined", "limit", "on_event",
    "pid",    "pipes",       "returncode", "stderr",  "stdout",     "stopped", "taken",     "taken_over", "token", "_usage", "wake",
};

int state_begin(struct state *state) {
  PyObject *sys = PyImport_ImportModule("sys");
  state->audit = sys ? PyObject_GetAttrString(sys, "audit") : NULL;
  Py_XDECREF(sys);
  for (int i = 0; state->audit && i < NAMES; i++)
    if (!(state->names[i] = PyUnicode_InternFromString(texts[i]))) return -1;
  return state->audit ? 0 : -1;
}

int state_traverse(const struct state *state, visitproc visit, void *arg) {
  Py_VISIT(state->audit);
  Py_VISIT(state->child_type);
  return 0;
}

void state_clear(struct state *state) {
  Py_CLEAR(state->block);
  Py_CLEAR(state->audit);
  Py_CLEAR(state->child_type);
  for (int i = 0; i < NAMES; i++) Py_CLEAR(state->names[i]);
}
