/* The pre-exec section: what a child does between clone and execve. child.c has its contract. */
#ifndef AIOSPAWN_CHILD_CHILD_H
#define AIOSPAWN_CHILD_CHILD_H

#include "steps.h"

/* Reports one byte, without SIGPIPE where the parent is gone. */
void child_say(int status, const char *byte);
/* Reports and exits. */
__attribute__((noreturn)) void child_fail(int status, long error, uint32_t kind, uint32_t index);

/* Runs the steps from this one on, up to the program or the step PREEXEC_FN; the index of the first that was not run. */
uint32_t child_run_steps(struct step_context *context, uint32_t index);
/* Sets the program's signal mask, executes it. */
__attribute__((noreturn)) void child_execute(struct step_context *context);
/* Both, from the first step on. The argument is a struct launch. */
__attribute__((noreturn)) void child_run(void *launch);

#endif
