/* Another thread opens a file at a number of the reserved block when that number has been found free and not yet been taken.
 * The thread is played by fcntl: fd_block.c is compiled to call this one. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int other_thread(int fd, int command, ...);

#define fcntl other_thread
#include "parent/fd_block.c"
#undef fcntl

enum { START = 64 };
static int file, opened;

/* After a look at the block's last number, or when the one before ours is taken: whatever way the block is reserved. */
int other_thread(int fd, int command, ...) {
  va_list more;
  va_start(more, command);
  int argument = command == F_DUPFD_CLOEXEC ? va_arg(more, int) : 0;
  va_end(more);
  int result = fcntl(fd, command, argument), error = errno;
  if (!opened && ((command == F_GETFD && fd == START + BLOCK - 1) || (command == F_DUPFD_CLOEXEC && argument == START + 9)))
    opened = dup2(file, START + 10);
  errno = error;
  return result;
}

int main(void) {
  struct stat theirs, there;
  for (int number = 3; number < START + BLOCK; number++) close(number);
  file = memfd_create("theirs", 0);
  aiospawn_fd_block_reserve();
  fstat(file, &theirs);
  fstat(START + 10, &there);
  printf("opened %d, it is %s\n", opened, theirs.st_ino == there.st_ino ? "still theirs" : "ours");
  return 0;
}
