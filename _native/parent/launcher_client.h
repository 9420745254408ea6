/* The parent's side of a launch through the launcher (launcher/main.c): its request.
 *
 * Ownership. The descriptor that the launcher reads from is the child's end AIOSPAWN_END_REQUEST, and goes with the others. */
#ifndef AIOSPAWN_PARENT_LAUNCHER_CLIENT_H
#define AIOSPAWN_PARENT_LAUNCHER_CLIENT_H

#include "children.h"

/* Writes all but the prelude's steps where the launcher reads them, by descriptor *reader, the caller's to close, and turns
 * the launch towards the launcher. 0 or a negated errno; *reader may be open then, too. All signals must be blocked. */
int launcher_prepare(struct child *child, const struct aiospawn_request *head, int32_t *reader);
/* Writes the numbers of the launch's ends for the launcher, when they are final; and whether it stays, as init. */
void launcher_write_ends(struct launch *launch, int stays);

#endif
