/* An ioctl(2) that answers PIDFD_GET_INFO as the kernel does while another thread is about to reap the process: HALF_REAPED
 * is how often it does not know of its end yet, or "between" for a process that is gone from between its two looks. */
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { KIND = 0xff, NUMBER = 11, INFO_EXIT = 8 };

int ioctl(int fd, unsigned long request, ...) {
  static int (*next)(int, unsigned long, void *);
  static int asked;
  va_list rest;
  va_start(rest, request);
  void *argument = va_arg(rest, void *);
  va_end(rest);
  if (!next) *(void **)&next = dlsym(RTLD_NEXT, "ioctl");
  int about_pidfd = (request >> 8 & 0xff) == KIND && (request & 0xff) == NUMBER;
  const char *how = getenv("HALF_REAPED");
  if (!about_pidfd || !how) return next(fd, request, argument);
  asked++;
  if (!strcmp(how, "between") && asked % 2) {
    errno = ESRCH;
    return -1;
  }
  int result = next(fd, request, argument);
  if (asked % (atoi(how) + 1)) *(uint64_t *)argument &= ~(uint64_t)INFO_EXIT;
  return result;
}
