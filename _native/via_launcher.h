/* The parent's side of a launch through the launcher program (launcher.c). */
#ifndef AIOSPAWN_VIA_LAUNCHER_H
#define AIOSPAWN_VIA_LAUNCHER_H

#include "child.h"

/* Would a program executed now keep the privileges that this process has? */
int launcher_keeps_privileges(void);
/* Moves all but the prelude's steps into a memfd, whose number goes to *memfd, and turns the flight towards the launcher.
 * 0 or a negated errno. */
int launcher_prepare(struct flight *flight, const struct aiospawn_request *head, int32_t *memfd);

#endif
