/* Compiled like child.c: a part of the launcher too. */
#include "step_check.h"

enum { MOST_NICE = 40 };           /* from one end to the other */
static const int64_t MOST_OF_A_LIMIT = (int64_t)1 << 42; /* as nanoseconds 64 bits hold milliseconds for 146 years */

static int is_register(const struct bounds *bounds, int64_t number) {
  return number >= 0 && number < bounds->saved;
}

static int is_operand(const struct bounds *bounds, int32_t fd) {
  if (fd >= 0) return 1;
  if (fd <= AIOSPAWN_REGISTER) return is_register(bounds, (int64_t)AIOSPAWN_REGISTER - fd);
  return fd >= -AIOSPAWN_ENDS && (bounds->ends >> (-1 - fd) & 1);
}

/* Behind so many bytes. */
static int strings_behind(const struct bounds *bounds, const struct aiospawn_step *step, uint32_t head) {
  int count = 0;
  if (step->size <= head || bounds->data[step->data + step->size - 1] != 0) return 0;
  for (uint32_t i = head; i < step->size; i++) count += bounds->data[step->data + i] == 0;
  return count;
}

static int strings_in(const struct bounds *bounds, const struct aiospawn_step *step) { return strings_behind(bounds, step, 0); }

/* Names and values by turns, and an empty name behind them. */
static int options_end(const struct bounds *bounds, const struct aiospawn_step *step) {
  int count = strings_in(bounds, step);
  return count >= 2 && count % 2 == 0 && bounds->data[step->data + step->size - 2] == 0;
}

static int view_is_valid(const struct bounds *bounds, const struct aiospawn_step *step) {
  enum { IDENTITY = 16 };
  if (step->fd < 0 || step->fd >= AIOSPAWN_VIEWS) return 0;
  switch (step->fd) {
    case AIOSPAWN_VIEW_BEGIN:
    case AIOSPAWN_VIEW_LOOPBACK:
    case AIOSPAWN_VIEW_END:
      return 1;
    case AIOSPAWN_VIEW_BIND:
      return strings_behind(bounds, step, IDENTITY) >= 2;
    case AIOSPAWN_VIEW_TMPFS:
      return options_end(bounds, step);
    case AIOSPAWN_VIEW_LINK:
      return strings_in(bounds, step) >= 3;
    default:
      return strings_in(bounds, step) >= 1;
  }
}

/* The descriptor number that a step writes to, or -1. */
static int64_t written(const struct aiospawn_step *step) {
  switch (step->kind) {
    case AIOSPAWN_STEP_DUP:
    case AIOSPAWN_STEP_DUP_SAVED:
      return step->value;
    case AIOSPAWN_STEP_OPEN:
      return step->fd;
    default:
      return -1;
  }
}

int steps_write(const struct aiospawn_step *steps, uint32_t count, int number) {
  for (uint32_t i = 0; i < count; i++)
    if (written(&steps[i]) == number) return 1;
  return 0;
}

int program_is_valid(const struct bounds *bounds, int32_t program) {
  return program == AIOSPAWN_NO_FD || (program < DESCRIPTOR_NUMBERS && is_operand(bounds, program));
}

int step_is_valid(struct bounds *bounds, const struct aiospawn_step *step) {
  if (step->kind <= AIOSPAWN_STEP_INHERIT || step->kind >= AIOSPAWN_STEP_KINDS) return 0;
  if (step->data > bounds->data_size || step->size > bounds->data_size - step->data) return 0;
  if (!is_operand(bounds, step->fd)) return 0;
  switch (step->kind) {
    case AIOSPAWN_STEP_PREEXEC_FN:
      return bounds->forked-- == 1;
    case AIOSPAWN_STEP_INIT:
      return 0;
    case AIOSPAWN_STEP_LIMIT:
      return step->fd > AIOSPAWN_NO_LIMIT && step->fd < AIOSPAWN_LIMITS && step->value <= MOST_OF_A_LIMIT &&
             step->value >= (step->fd != AIOSPAWN_LIMIT_MEMORY);
    case AIOSPAWN_STEP_SAVE:
      return step->value == bounds->saved && bounds->saved++ < AIOSPAWN_MAX_SAVED;
    case AIOSPAWN_STEP_DUP_SAVED:
      return is_register(bounds, step->fd) && step->value >= 0 && step->value <= bounds->top;
    case AIOSPAWN_STEP_DUP:
      return step->value == step->fd || (step->value >= 0 && step->value <= bounds->top);
    case AIOSPAWN_STEP_OPEN:
      return step->fd >= 0 && step->fd <= bounds->top && strings_in(bounds, step);
    case AIOSPAWN_STEP_CLOSE:
      return step->fd >= 0 && step->value >= 0 && step->value <= INT32_MAX;
    case AIOSPAWN_STEP_LANDLOCK_RULES:
      return step->size >= 24 && (step->size == 24 || strings_in(bounds, step));
    case AIOSPAWN_STEP_VIEW:
      return view_is_valid(bounds, step);
    case AIOSPAWN_STEP_CHROOT:
    case AIOSPAWN_STEP_CHDIR:
      return strings_in(bounds, step);
    case AIOSPAWN_STEP_CGROUP:
      return step->value ? step->value == 1 && (!step->size || strings_in(bounds, step)) : strings_in(bounds, step);
    case AIOSPAWN_STEP_UNSHARE:
      return !step->size || strings_in(bounds, step) >= 2;
    case AIOSPAWN_STEP_SETGROUPS:
      return step->value >= 0 && (uint64_t)step->value * 4 == step->size;
    case AIOSPAWN_STEP_RLIMIT:
    case AIOSPAWN_STEP_HOOK:
      return step->size == 16;
    case AIOSPAWN_STEP_NICE: /* the child adds it up */
      return step->value >= -MOST_NICE && step->value <= MOST_NICE;
    case AIOSPAWN_STEP_SECCOMP:
      return step->size % 8 == 0 && step->size / 8 <= UINT16_MAX;
    default:
      return 1;
  }
}
