/* The environment that children inherit, as the C library has it: os.putenv() and libraries change it behind os.environ. */
#ifndef AIOSPAWN_PLAIN_ENVIRONMENT_H
#define AIOSPAWN_PLAIN_ENVIRONMENT_H

#include "state.h"

/* The state's block is up to date then: the strings, each with its NUL. -1 with an exception where there is no memory. */
int environment_read(struct state *state);

#endif
