/* Steps on the process itself: place, session, terminal, signals, limits, scheduling. Under the contract of child.c. */
#include <fcntl.h>
#include <stddef.h>

#include "steps.h"

enum {
  /* <sys/prctl.h> would drag libc's prctl in */
  SET_PDEATHSIG = 1, SET_TIMERSLACK = 29,
  /* <asm/termios.h> */
  SET_CONTROLLING_TERMINAL = 0x540e, SET_FOREGROUND_GROUP = 0x5410,
  IOPRIO_PROCESS = 1,
  PRIORITY_PROCESS = 0,
  PARENT_GONE = -3 /* ESRCH */
};

long write_file(int directory, const char *path, const char *text, long length) {
  long fd = sys4(SYS_openat, directory, (long)path, O_WRONLY | O_CLOEXEC, 0);
  if (fd < 0) return fd;
  long result = sys3(SYS_write, fd, (long)text, length);
  sys1(SYS_close, fd);
  return result;
}

/* ---- place --------------------------------------------------------------------------------------------------------- */

long step_chroot(struct step_context *context, const struct aiospawn_step *step) {
  return sys1(SYS_chroot, (long)data_of(context, step));
}

long step_chdir(struct step_context *context, const struct aiospawn_step *step) {
  return sys1(SYS_chdir, (long)data_of(context, step));
}

long step_fchdir(struct step_context *context, const struct aiospawn_step *step) {
  return sys1(SYS_fchdir, operand(context, step->fd));
}

long step_umask(struct step_context *context, const struct aiospawn_step *step) {
  (void)context;
  return sys1(SYS_umask, step->value);
}

long step_cgroup(struct step_context *context, const struct aiospawn_step *step) {
  if (step->value) return write_file(operand(context, step->fd), "cgroup.procs", "0", 1);
  return write_file(AT_FDCWD, data_of(context, step), "0", 1);
}

/* ---- session and terminal ------------------------------------------------------------------------------------------ */

long step_setsid(struct step_context *context, const struct aiospawn_step *step) {
  (void)context, (void)step;
  return sys0(SYS_setsid);
}

long step_setpgid(struct step_context *context, const struct aiospawn_step *step) {
  (void)context;
  return sys2(SYS_setpgid, 0, step->value);
}

long step_tiocsctty(struct step_context *context, const struct aiospawn_step *step) {
  return sys3(SYS_ioctl, operand(context, step->fd), SET_CONTROLLING_TERMINAL, 0);
}

/* SIGTTOU, which stops a background process that does this, is blocked like every signal. */
long step_tcsetpgrp(struct step_context *context, const struct aiospawn_step *step) {
  int group = (int)sys1(SYS_getpgid, 0);
  return sys3(SYS_ioctl, operand(context, step->fd), SET_FOREGROUND_GROUP, (long)&group);
}

/* ---- the parent's death ------------------------------------------------------------------------------------------------- */

/* As /proc has it: "number (name) state parent", and the name may hold anything. */
static long parent_in_proc(void) {
  char line[256];
  long fd = sys4(SYS_openat, AT_FDCWD, (long)"/proc/self/stat", O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return fd;
  long length = sys3(SYS_read, fd, (long)line, sizeof line - 1), at = 0, parent = 0;
  sys1(SYS_close, fd);
  if (length <= 0) return length;
  line[length] = 0;
  for (long i = 0; i < length; i++)
    if (line[i] == ')') at = i;
  for (int spaces = 0; spaces < 2 && line[at]; at++) spaces += line[at] == ' ';
  for (; line[at] >= '0' && line[at] <= '9'; at++) parent = parent * 10 + (line[at] - '0');
  return parent;
}

/* A parent in an outer PID namespace has no number here, but in /proc, which is of the namespace that mounted it. */
static long parent_number(void) {
  long parent = sys0(SYS_getppid);
  return parent ? parent : parent_in_proc();
}

/* The low half is the signal, the high half the parent; none: init. A parent that is gone already will send no signal. */
long step_pdeathsig(struct step_context *context, const struct aiospawn_step *step) {
  long result = sys5(SYS_prctl, SET_PDEATHSIG, step->value & 0xffffffff, 0, 0, 0);
  if (result < 0) return result;
  long parent = step->value >> 32;
  return parent_number() == (parent ? parent : context->launch->keeper) ? 0 : PARENT_GONE;
}

/* ---- limits and scheduling ----------------------------------------------------------------------------------------- */

long step_rlimit(struct step_context *context, const struct aiospawn_step *step) {
  return sys4(SYS_prlimit64, 0, step->value, (long)data_of(context, step), 0);
}

long step_nice(struct step_context *context, const struct aiospawn_step *step) {
  (void)context;
  long current = sys2(SYS_getpriority, PRIORITY_PROCESS, 0); /* the raw call gives 20 - nice */
  if (current < 0) return current;
  return sys3(SYS_setpriority, PRIORITY_PROCESS, 0, 20 - current + step->value);
}

long step_scheduler(struct step_context *context, const struct aiospawn_step *step) {
  (void)context;
  int priority = (int)(step->value >> 32);
  return sys3(SYS_sched_setscheduler, 0, step->value & 0xffffffff, (long)&priority);
}

long step_affinity(struct step_context *context, const struct aiospawn_step *step) {
  return sys3(SYS_sched_setaffinity, 0, step->size, (long)data_of(context, step));
}

long step_ioprio(struct step_context *context, const struct aiospawn_step *step) {
  (void)context;
  return sys3(SYS_ioprio_set, IOPRIO_PROCESS, 0, step->value);
}

long step_oom_score_adj(struct step_context *context, const struct aiospawn_step *step) {
  return write_file(AT_FDCWD, "/proc/self/oom_score_adj", data_of(context, step), step->size);
}

long step_timer_slack(struct step_context *context, const struct aiospawn_step *step) {
  (void)context;
  return sys5(SYS_prctl, SET_TIMERSLACK, step->value, 0, 0, 0);
}

/* ---- a function of the program's own ------------------------------------------------------------------------------- */

long step_hook(struct step_context *context, const struct aiospawn_step *step) {
  void *const *call = data_of(context, step); /* function, argument */
  int (*function)(void *);
  *(void **)&function = call[0];
  int error = function(call[1]);
  return error < 0 ? error : -error;
}

/* Init's (launcher/limits.h), not the command's. */
long step_limit(struct step_context *context, const struct aiospawn_step *step) {
  (void)context, (void)step;
  return 0;
}
