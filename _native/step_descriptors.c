/* Steps on descriptors. Under the contract of child.c. */
#include <fcntl.h>
#include <stddef.h>

#include "sound.h"
#include "steps.h"

enum { INVALID = -22 /* EINVAL: a lowest number at or above the limit */, TOO_MANY = -24 /* EMFILE */ };

long child_duplicate(const struct flight *flight, int fd) {
  long number = sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, flight->top < 2 ? 3 : flight->top + 1);
  if (number != INVALID && number != TOO_MANY) return number;
  for (long lowest = 3;; lowest = number + 1) {
    number = sys3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, lowest);
    if (number < 0) return number == INVALID ? TOO_MANY : number;
    if (!steps_write(flight->steps, flight->step_count, (int)number)) return number;
    sys1(SYS_close, number);
  }
}

static long become(int from, int number) {
  return from == number ? sys3(SYS_fcntl, from, F_SETFD, 0) : sys3(SYS_dup3, from, number, 0);
}

long step_save(struct walk *walk, const struct aiospawn_step *step) {
  long fd = child_duplicate(walk->flight, operand(walk, step->fd));
  if (fd >= 0) walk->saved[step->value] = (int)fd;
  return fd;
}

long step_dup(struct walk *walk, const struct aiospawn_step *step) {
  return become(operand(walk, step->fd), (int)step->value);
}

long step_dup_saved(struct walk *walk, const struct aiospawn_step *step) {
  return become(walk->saved[step->fd], (int)step->value);
}

/* A launcher must find across its own execve what the program is to get; it puts the flag back first. */
long step_cloexec(struct walk *walk, const struct aiospawn_step *step) {
  return sys3(SYS_fcntl, operand(walk, step->fd), F_SETFD, step->value ? FD_CLOEXEC : 0);
}

long step_open(struct walk *walk, const struct aiospawn_step *step) {
  long fd = sys4(SYS_openat, AT_FDCWD, (long)data_of(walk, step), step->value & 0xffffffff, step->value >> 32);
  if (fd < 0 || fd == step->fd) return fd;
  long result = sys3(SYS_dup3, fd, step->fd, 0);
  sys1(SYS_close, fd);
  return result;
}

static long close_each(int first, int last) {
  for (int fd = first; fd <= last; fd++) sys1(SYS_close, fd);
  return 0;
}

/* Linux < 5.9. Without /proc the highest number is unknown: as far as the limit goes, as CPython does. */
static long close_listed(int first, int last) {
  struct {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
  } *entry;
  char listing[4096] __attribute__((aligned(8)));
  long directory = sys4(SYS_openat, AT_FDCWD, (long)"/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (directory < 0) {
    uint64_t limit[2] = {1024, 1024};
    sys4(SYS_prlimit64, 0, 7 /* RLIMIT_NOFILE */, 0, (long)limit);
    return close_each(first, (uint64_t)last < limit[0] ? last : (int)limit[0] - 1);
  }
  long length;
  while ((length = sys3(SYS_getdents64, directory, (long)listing, sizeof listing)) > 0) {
    for (long at = 0; at < length; at += entry->length) {
      entry = (void *)(listing + at);
      int fd = 0;
      const char *digit = entry->name;
      /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): the kernel has written it */
      if (*digit < '0' || *digit > '9') continue;
      for (; *digit >= '0' && *digit <= '9'; digit++) fd = fd * 10 + (*digit - '0');
      if (fd >= first && fd <= last && fd != directory) sys1(SYS_close, fd);
    }
  }
  sys1(SYS_close, directory);
  return 0;
}

static long close_between(const struct walk *walk, int first, int last) {
  if (first > last) return 0;
  if (walk->flight->has_close_range) return sys3(SYS_close_range, first, last, 0);
  return close_listed(first, last);
}

/* All but what is needed to the end: the status pipe, and the program where it is a descriptor. */
long step_close(struct walk *walk, const struct aiospawn_step *step) {
  int first = step->fd, last = (int)step->value;
  int spared[2] = {walk->flight->status, walk->flight->status};
  if (walk->flight->program != AIOSPAWN_NO_FD) spared[1] = operand(walk, walk->flight->program);
  int low = spared[0] < spared[1] ? spared[0] : spared[1], high = spared[0] < spared[1] ? spared[1] : spared[0];
  long result = close_between(walk, first, low <= last ? low - 1 : last);
  if (result >= 0) result = close_between(walk, low >= first ? low + 1 : first, high <= last ? high - 1 : last);
  if (result >= 0) result = close_between(walk, high >= first ? high + 1 : first, last);
  return result;
}
