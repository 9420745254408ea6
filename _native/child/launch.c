/* Compiled like child.c, under the same contract. */
#include "launch.h"

#include <fcntl.h>

#include "step_check.h"
#include "sys.h"

enum { INVALID = -22 /* EINVAL: a lowest number at or above the limit */, TOO_MANY = -24 /* EMFILE */ };

long launch_duplicate(const struct flight *flight, int fd) {
  long number = sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, flight->top < 2 ? 3 : flight->top + 1);
  if (number != INVALID && number != TOO_MANY) return number;
  for (long lowest = 3;; lowest = number + 1) {
    number = sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, lowest);
    if (number < 0) return number == INVALID ? TOO_MANY : number;
    if (!steps_write(flight->steps, flight->step_count, (int)number)) return number;
    sys1(SYS_close, number);
  }
}
