/* What is asked of a step before a child walks it: its kind, its registers, its offsets, its terminated strings. The parent
 * asks it of a request (parent/request.c), the launcher once more of what it was handed (launcher/read.c). */
#ifndef AIOSPAWN_SOUND_H
#define AIOSPAWN_SOUND_H

#include "aiospawn.h"

enum { SOUND_NUMBERS = 1 << 30 };  /* descriptor numbers lie below: fs.nr_open cannot be set higher */

struct bounds {
  const unsigned char *data;       /* the step data */
  uint32_t data_size;
  int32_t top;                     /* the highest descriptor number that steps write to */
  uint32_t ends;                   /* by bit: an operand may mean this end */
  int forked;                      /* Python code may run, once */
  uint32_t saved;                  /* registers in which steps so far have set descriptors aside: the first ones */
};

/* Does one of the steps write to this descriptor number, if only to clear its close-on-exec flag? */
int steps_write(const struct aiospawn_step *steps, uint32_t count, int number);
/* Asked in the order of the steps: what one sets aside, those behind it may name. */
int step_is_sound(struct bounds *bounds, const struct aiospawn_step *step);
/* Asked after the last step. */
int program_is_sound(const struct bounds *bounds, int32_t program);

#endif
