#include "descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "child/step_check.h"

int descriptor_lift(int *fd, int lowest) {
  if (*fd >= lowest) return 0;
  int moved = fcntl(*fd, F_DUPFD_CLOEXEC, lowest);
  int error = moved == -1 ? (errno == EINVAL ? -EMFILE : -errno) : 0; /* EINVAL: above the limit */
  close(*fd);
  *fd = moved;
  return error;
}

int descriptor_lift_end(int32_t *end, const struct launch *launch) {
  if (*end > 2 && !steps_write(launch->steps, launch->step_count, *end)) return 0;
  long moved = launch_duplicate(launch, *end);
  close(*end);
  *end = moved < 0 ? -1 : (int32_t)moved;
  return moved < 0 ? (int)moved : 0;
}

int descriptor_is_locked(int fd) {
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
  return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}
