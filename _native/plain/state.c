#include "state.h"

static const char *const texts[NAMES] = {
    [NAME_ARGS] = "args", [NAME_CGROUP_PEAK] = "cgroup_peak", [NAME_COMPLETE] = "complete",
    [NAME_CONNECTION_MADE] = "connection_made", [NAME_DONE] = "done", [NAME_ELAPSED] = "elapsed", [NAME_ENDED] = "ended",
    [NAME_EXIT_WAITERS] = "_exit_waiters", [NAME_FAILED] = "_failed", [NAME_IMMEDIATE] = "immediate",
    [NAME_IS_DONE] = "_is_done", [NAME_IS_OVER] = "is_over", [NAME_IS_PLAIN] = "is_plain", [NAME_IS_WOKEN] = "is_woken",
    [NAME_JOINED] = "joined", [NAME_LAUNCH] = "launch", [NAME_LIMIT] = "limit", [NAME_NUMBER] = "_number",
    [NAME_ON_EVENT] = "on_event", [NAME_OPEN_PIPES] = "_open_pipes", [NAME_OUTGROWN] = "outgrown", [NAME_OWN_PID] = "_pid", [NAME_OWN_PIDFD] = "_pidfd",
    [NAME_OWN_PIPES] = "_pipes", [NAME_OWN_RETURNCODE] = "_returncode", [NAME_PID] = "pid", [NAME_PIPES] = "pipes", [NAME_PIPE_LOST] = "pipe_lost", [NAME_POPEN] = "subprocess.Popen", [NAME_PROTOCOL] = "_protocol",
    [NAME_REQUEST] = "request", [NAME_RESUMED] = "resumed", [NAME_RETURNCODE] = "returncode",
    [NAME_SET_RESULT] = "set_result", [NAME_STANDING] = "_standing", [NAME_STDERR] = "stderr", [NAME_STDOUT] = "stdout",
    [NAME_STOPPED] = "stopped", [NAME_TAKEN] = "taken", [NAME_TAKEN_OVER] = "taken_over", [NAME_TOKEN] = "token",
    [NAME_UNREAD] = "unread", [NAME_UNREAD_MOST] = "unread_most",
    [NAME_USAGE] = "_usage", [NAME_WAKE] = "wake",
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
  Py_VISIT(state->asyncio_child_type);
  return 0;
}

void state_clear(struct state *state) {
  Py_CLEAR(state->block);
  Py_CLEAR(state->audit);
  Py_CLEAR(state->child_type);
  Py_CLEAR(state->asyncio_child_type);
  for (int i = 0; i < STANDINGS; i++) Py_CLEAR(state->standings[i]);
  for (int i = 0; i < NAMES; i++) Py_CLEAR(state->names[i]);
}
