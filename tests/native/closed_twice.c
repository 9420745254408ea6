/* A close that says so where there is nothing to close: in another thread's place there would be. Preloaded. */
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int close(int number) {
  int result = (int)syscall(SYS_close, number), error = errno;
  if (result == -1 && error == EBADF) dprintf(2, "%d was closed already\n", number);
  errno = error;
  return result;
}
