/* Compiled like child.c, under the same contract. */
#include "launch.h"

#include <fcntl.h>

#include "step_check.h"
#include "sys.h"

enum { INVALID = -22 /* EINVAL: a lowest number at or above the limit */, TOO_MANY = -24 /* EMFILE */ };

long launch_duplicate(const struct launch *launch, int fd) {
  long number = sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, launch->top < 2 ? 3 : launch->top + 1);
  if (number != INVALID && number != TOO_MANY) return number;
  for (long lowest = 3;; lowest = number + 1) {
    number = sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, lowest);
    if (number < 0) return number == INVALID ? TOO_MANY : number;
    if (!steps_write(launch->steps, launch->step_count, (int)number)) return number;
    sys1(SYS_close, number);
  }
}
