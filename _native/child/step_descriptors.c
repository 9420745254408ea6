/* Steps on descriptors. Under the contract of child.c. */
#include <fcntl.h>
#include <stddef.h>

#include "steps.h"

static long become(int from, int number) {
  return from == number ? sys3(SYS_fcntl, from, F_SETFD, 0) : sys3(SYS_dup3, from, number, 0);
}

long step_save(struct step_context *context, const struct aiospawn_step *step) {
  long fd = launch_duplicate(context->launch, operand(context, step->fd));
  if (fd >= 0) context->saved[step->value] = (int)fd;
  return fd;
}

long step_dup(struct step_context *context, const struct aiospawn_step *step) {
  return become(operand(context, step->fd), (int)step->value);
}

long step_dup_saved(struct step_context *context, const struct aiospawn_step *step) {
  return become(context->saved[step->fd], (int)step->value);
}

/* A launcher must find across its own execve what the program is to get; it puts the flag back first. */
long step_cloexec(struct step_context *context, const struct aiospawn_step *step) {
  return sys3(SYS_fcntl, operand(context, step->fd), F_SETFD, step->value ? FD_CLOEXEC : 0);
}

long step_open(struct step_context *context, const struct aiospawn_step *step) {
  long fd = sys4(SYS_openat, AT_FDCWD, (long)data_of(context, step), step->value & 0xffffffff, step->value >> 32);
  if (fd < 0 || fd == step->fd) return fd;
  long result = sys3(SYS_dup3, fd, step->fd, 0);
  sys1(SYS_close, fd);
  return result;
}

/* ---- closing ------------------------------------------------------------------------------------------------------- */

/* Needed to the end, or closed by the execve: the child's ends, the status pipe among them, and the program where it is a
 * descriptor. The lowest from `first` on; `beyond` if there is none. */
static long next_spared(const struct step_context *context, long first, long beyond) {
  const struct launch *launch = context->launch;
  long found = beyond;
  for (int end = 0; end < AIOSPAWN_ENDS; end++)
    if (launch->ends[end] >= first && launch->ends[end] < found) found = launch->ends[end];
  if (launch->status >= first && launch->status < found) found = launch->status;
  if (launch->program == AIOSPAWN_NO_FD) return found;
  int program = operand(context, launch->program);
  return program >= first && program < found ? program : found;
}

static void close_one(const struct step_context *context, long fd) {
  if (next_spared(context, fd, fd + 1) != fd) sys1(SYS_close, fd);
}

/* Linux < 5.9. Without /proc the highest number is unknown: as far as the limit goes, as CPython does. */
static long close_listed(const struct step_context *context, long first, long last) {
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
    for (long fd = first; fd <= last && (uint64_t)fd < limit[0]; fd++) close_one(context, fd);
    return 0;
  }
  long length;
  while ((length = sys3(SYS_getdents64, directory, (long)listing, sizeof listing)) > 0) {
    for (long at = 0; at < length; at += entry->length) {
      entry = (void *)(listing + at);
      long fd = 0;
      const char *digit = entry->name;
      /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): the kernel has written it */
      if (*digit < '0' || *digit > '9') continue;
      for (; *digit >= '0' && *digit <= '9'; digit++) fd = fd * 10 + (*digit - '0');
      if (fd >= first && fd <= last && fd != directory) close_one(context, fd);
    }
  }
  sys1(SYS_close, directory);
  return 0;
}

long step_close(struct step_context *context, const struct aiospawn_step *step) {
  if (!context->launch->has_close_range) return close_listed(context, step->fd, step->value);
  for (long first = step->fd, beyond = step->value + 1; first < beyond;) {
    long spared = next_spared(context, first, beyond);
    long result = first < spared ? sys3(SYS_close_range, first, spared - 1, 0) : 0;
    if (result < 0) return result;
    first = spared + 1;
  }
  return 0;
}
