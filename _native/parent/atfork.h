/* A fork by other code of the process. In its child every reactor is dead, and new ones can be opened.
 *
 * Ownership. In that child everything of the parent's that these files hold is closed, and nothing else. */
#ifndef AIOSPAWN_PARENT_ATFORK_H
#define AIOSPAWN_PARENT_ATFORK_H

/* Once for the process, however often it is called; before the first reactor is opened. */
void atfork_install(void);

#endif
