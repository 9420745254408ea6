/* The launcher: a program without a C library that walks a launch's steps in memory of its own, then executes the target.
 *
 * For steps that would act on the parent through the memory that a cloned child shares with it (child.c): credentials,
 * oom_score_adj, memory cgroups. The child executes this first, from a descriptor, with the target's arguments and
 * environment as they are; only argv[0] is put before them: the decimal number of the descriptor to read the rest from
 * (struct launcher_request). All signals are blocked on the way here, and handlers are gone by the execve.
 *
 * The first thing it says on the status pipe is one byte: alive. From then on the parent's memory is not needed.
 */
#include <fcntl.h>
#include <stddef.h>

#include "child.h"
#include "launcher.h"
#include "sys.h"

/* Directories of a search path: more than a few are rare. */
enum { FEW = 64 };
enum { PROTECT_READ = 1, PROTECT_WRITE = 2, MAP_ITS_OWN = 2, MAP_NO_FILE = 0x20, SET_NAME = 15, BAD_VERSION = -71 /* EPROTO */ };

/* The compiler may ask for these two by itself, whatever it is told. */
void *memcpy(void *to, const void *from, size_t size) {
  for (size_t i = 0; i < size; i++) ((volatile char *)to)[i] = ((const char *)from)[i];
  return to;
}

void *memset(void *to, int value, size_t size) {
  for (size_t i = 0; i < size; i++) ((volatile char *)to)[i] = (char)value;
  return to;
}

static int parse_number(const char *text) {
  int number = 0;
  for (; *text >= '0' && *text <= '9'; text++) number = number * 10 + (*text - '0');
  return number;
}

static int failed(long result) { return result < 0 && result > -4096; }

/* Into `few`, if they fit. */
static const char *const *split(const char *strings, const char *end, uint32_t count, const char **few) {
  const char **array = few;
  if (count >= FEW) {
    long size = (long)((count + 1) * sizeof(char *));
    long memory = sys6(SYS_mmap, 0, size, PROTECT_READ | PROTECT_WRITE, MAP_ITS_OWN | MAP_NO_FILE, -1, 0);
    if (failed(memory)) return NULL;
    array = (const char **)memory;
  }
  array[count] = NULL;
  for (uint32_t i = 0; i < count && strings < end; i++) {
    array[i] = strings;
    while (*strings++) {
    }
  }
  return array;
}

__attribute__((noreturn, used)) static void start(long *stack) {
  long count = stack[0];
  const char **arguments = (const char **)(stack + 1);
  if (count == 1 && arguments[0][0] == '?') sys1(SYS_exit_group, LAUNCHER_ANSWER); /* can it be executed at all? */
  union {
    struct launcher_request request;
    unsigned char bytes[LAUNCHER_ROOM];
  } room;
  const char *few[FEW];
  int reader = parse_number(arguments[0]);
  long length = sys3(SYS_read, reader, (long)&room, sizeof room);
  if (length < (long)sizeof room.request) sys1(SYS_exit_group, LAUNCHER_NO_REQUEST);
  struct launcher_request request = room.request;
  sys3(SYS_fcntl, request.status, F_SETFD, FD_CLOEXEC);
  if (request.version != LAUNCHER_VERSION) child_fail(request.status, BAD_VERSION, AIOSPAWN_STEP_LAUNCHER, 0);
  sys5(SYS_prctl, SET_NAME, (long)LAUNCHER_NAME, 0, 0, 0); /* before it is alive: until then nobody takes it for the program */
  child_say(request.status, "a");
  const unsigned char *base = room.bytes;
  if (request.size > LAUNCHER_ROOM) {
    long mapped = sys6(SYS_mmap, 0, request.size, PROTECT_READ, MAP_ITS_OWN, reader, 0);
    if (failed(mapped)) child_fail(request.status, mapped, AIOSPAWN_STEP_LAUNCHER, 0);
    base = (const unsigned char *)mapped;
  }
  sys1(SYS_close, reader);
  struct flight flight = {
      .steps = (const struct aiospawn_step *)(base + request.steps_at),
      .step_count = request.steps,
      .first_index = request.first_index,
      .data = base + request.data_at,
      .candidates = split((const char *)base + request.candidates_at, (const char *)base + request.size, request.candidates, few),
      .arguments = arguments + 1,
      .variables = (const char *const *)arguments + count + 1,
      .status = request.status,
      .ends = {request.ends[0], request.ends[1], request.ends[2]},
      .top = request.top,
      .program = request.program,
      .landing = -1,
      .execve_kind = AIOSPAWN_STEP_EXECVE,
      .has_close_range = request.has_close_range,
      .mask = request.mask,
  };
  if (!flight.candidates) child_fail(request.status, -12 /* ENOMEM */, AIOSPAWN_STEP_LAUNCHER, 0);
  child_run(&flight);
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start\n\thlt\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n\tmov x29, xzr\n\tmov x30, xzr\n\tmov x0, sp\n\tbl start\n\tbrk 0\n");
#endif
