/* The parent's side of a launch through the launcher program (launcher/main.c). */
#ifndef AIOSPAWN_PARENT_LAUNCHER_CLIENT_H
#define AIOSPAWN_PARENT_LAUNCHER_CLIENT_H

#include "children.h"

/* Would a program executed now have the privileges that this process has, no less and no more? */
int launcher_keeps_privileges(void);
/* Writes all but the prelude's steps where the launcher reads them, by descriptor *reader, the caller's to close, and turns
 * the launch towards the launcher. 0 or a negated errno; *reader may be open then, too. All signals must be blocked. */
int launcher_prepare(struct child *child, const struct aiospawn_request *head, int32_t *reader);
/* Tells it the numbers of the flight's ends, when they are settled; and that it stays, as init. */
void launcher_write_ends(struct launch *launch, int stays);

#endif
