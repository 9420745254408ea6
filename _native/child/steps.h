/* The steps: one function a kind, 0 or more on success, a negated errno otherwise. Compiled like child.c, under the same
 * contract; the launcher is built of them too.
 *
 * Ownership. A descriptor that a step opens belongs to the child, until its execve; the context lies on the child's stack. */
#ifndef AIOSPAWN_CHILD_STEPS_H
#define AIOSPAWN_CHILD_STEPS_H

#include "launch.h"
#include "sys.h"

struct step_context {
  const struct launch *launch;
  int saved[AIOSPAWN_MAX_SAVED];   /* descriptors set aside */
  int no_core;                     /* core_forbid() was called */
  int view;                        /* the root of a view that is being made, or -1 */
};

typedef long step_function(struct step_context *context, const struct aiospawn_step *step);

/* What a step's descriptor operand means (see aiospawn.h). */
static inline int operand(const struct step_context *context, int fd) {
  if (fd >= 0) return fd;
  return fd <= AIOSPAWN_REGISTER ? context->saved[AIOSPAWN_REGISTER - fd] : context->launch->ends[-1 - fd];
}

static inline const void *data_of(const struct step_context *context, const struct aiospawn_step *step) {
  return context->launch->data + step->data;
}

/* Writes a short text to a file of the kernel's, relative to a directory descriptor. */
long write_file(int directory, const char *path, const char *text, long length);

/* As the kernel has it; libc's struct sigaction is laid out otherwise. */
long signal_set(int number, void (*handler)(int));
int signal_is_ignored(int number);
/* Handlers to default, ignored signals stay ignored: what CLONE_CLEAR_SIGHAND does. */
void signal_clear_handlers(void);
/* From here to the execve a signal whose default action is a core dump ends the child as SIGKILL does. */
void signal_guard(void);
/* From here to the execve nothing dumps a core that shows the parent's memory. Called again it does nothing. */
void core_forbid(struct step_context *context);

/* step_descriptors.c */
step_function step_save, step_dup, step_dup_saved, step_cloexec, step_open, step_close;
/* step_process.c */
step_function step_chdir, step_fchdir, step_chroot, step_umask, step_setsid, step_setpgid, step_tiocsctty, step_tcsetpgrp,
    step_rlimit, step_nice, step_scheduler, step_affinity, step_ioprio, step_oom_score_adj,
    step_timer_slack, step_pdeathsig, step_cgroup, step_hook, step_limit;
/* step_signals.c */
step_function step_sigdefault, step_sigignore;
/* step_privileges.c */
step_function step_setgroups, step_setgid, step_setuid, step_bounding, step_keepcaps, step_capset, step_ambient,
    step_prctl, step_seccomp, step_landlock, step_landlock_rules, step_unshare, step_setns;
/* step_view.c */
step_function step_view;
/* In a child in a new PID namespace: can it make a view? */
int view_try(void);

#endif
