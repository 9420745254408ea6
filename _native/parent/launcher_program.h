/* The launcher as a file that can be executed: aiospawn_launcher_open() and aiospawn_launcher_usable().
 *
 * Ownership. Its descriptor is open for as long as the process lives, and stays here. */
#ifndef AIOSPAWN_PARENT_LAUNCHER_PROGRAM_H
#define AIOSPAWN_PARENT_LAUNCHER_PROGRAM_H

/* The descriptor to execute it from, or -1. */
int launcher_program(void);

/* 1: it can be executed here, 0: it cannot, -errno: a shortage, which may pass, kept it from being tried. */
int launcher_state(void);

#endif
