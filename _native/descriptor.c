#include "descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int descriptor_lift(int *fd, int lowest) {
  if (*fd >= lowest) return 0;
  int moved = fcntl(*fd, F_DUPFD_CLOEXEC, lowest);
  int error = moved == -1 ? (errno == EINVAL ? -EMFILE : -errno) : 0; /* EINVAL: above the limit */
  close(*fd);
  *fd = moved;
  return error;
}
