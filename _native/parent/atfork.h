/* A fork elsewhere in the process, by whoever. In its child every reactor is dead, and new ones can be opened. */
#ifndef AIOSPAWN_FORK_H
#define AIOSPAWN_FORK_H

/* Once for the process, however often it is called; before the first reactor is opened. */
void fork_handlers_install(void);

#endif
