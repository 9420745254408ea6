/* The stretch between clone and execve. child.c says what may happen there. */
#ifndef AIOSPAWN_CHILD_H
#define AIOSPAWN_CHILD_H

#include "steps.h"

/* One byte to whoever holds the other end: it goes on. */
void child_say(int status, const char *byte);
/* Reports and exits. */
__attribute__((noreturn)) void child_fail(int status, long error, uint32_t kind, uint32_t index);

/* Takes the steps from this one on, up to the program or the step PREEXEC_FN; the index of the step that was not taken. */
uint32_t child_walk(struct walk *walk, uint32_t index);
/* Sets the program's signal mask, executes it. */
__attribute__((noreturn)) void child_execute(struct walk *walk);
/* Both, from the first step on. The argument is a struct flight. */
__attribute__((noreturn)) void child_run(void *flight);

#endif
