/* What is checked of a step before a child runs it: its kind, its registers, its offsets, its terminated strings. The parent
 * checks a request (parent/request.c), the launcher once more what it has read (launcher/read.c). Nothing is owned here. */
#ifndef AIOSPAWN_CHILD_STEP_CHECK_H
#define AIOSPAWN_CHILD_STEP_CHECK_H

#include "aiospawn.h"

enum { DESCRIPTOR_NUMBERS = 1 << 30 };  /* descriptor numbers lie below: fs.nr_open cannot be set higher */

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
/* In the order of the steps: what one sets aside, those behind it may name. */
int step_is_valid(struct bounds *bounds, const struct aiospawn_step *step);
/* After the last step. */
int program_is_valid(const struct bounds *bounds, int32_t program);

#endif
