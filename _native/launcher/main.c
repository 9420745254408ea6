/* The launcher: a program without a C library that runs a launch's steps in memory of its own, then executes the target.
 *
 * For steps that would act on the parent through the memory that a cloned child shares with it (child/child.c): credentials,
 * oom_score_adj, memory cgroups. The child executes this first, from a descriptor, with the target's arguments and
 * environment as they are; only argv[0] is put before them: the numbers of the child's ends, of which the last is to read the
 * rest from (struct launcher_request). All signals are blocked on the way here, and handlers are gone by the execve.
 *
 * The first thing that it reports is one byte: it is alive. From then on the parent's memory is not needed.
 *
 * Where it is to stay as the command's init, an "i" is behind the numbers, and what it reads from is init's socket (init.h).
 */
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

#include "child/child.h"
#include "launcher.h"
#include "child/sys.h"
#include "init.h"

/* Directories of a search path: more than a few are rare. */
enum { FEW = 64 };
enum { PROTECT_READ = 1, PROTECT_WRITE = 2, MAP_ITS_OWN = 2, MAP_NO_FILE = 0x20, SET_NAME = 15, BAD_VERSION = -71 /* EPROTO */ };

/* Decimal, a space between; -1 for what is not there. What is behind them. */
static const char *parse_ends(const char *text, int *ends) {
  for (int end = 0; end < AIOSPAWN_ENDS; end++) {
    int sign = *text == '-' ? -1 : 1, number = 0;
    if (sign < 0) text++;
    for (; *text >= '0' && *text <= '9'; text++) number = number * 10 + (*text - '0');
    ends[end] = sign * number;
    if (*text) text++;
  }
  return text;
}

static int failed(long result) { return result < 0 && result > -4096; }

static long map(int status, uint64_t size, long protection, long flags, int fd) {
  long memory = sys6(SYS_mmap, 0, (long)size, protection, flags, fd, 0);
  if (failed(memory)) child_fail(status, memory, AIOSPAWN_STEP_LAUNCHER, 0);
  return memory;
}

__attribute__((noreturn, used)) static void start(long *stack) {
  long count = stack[0];
  const char **arguments = (const char **)(stack + 1);
  if (count == 1 && arguments[0][0] == '?') sys1(SYS_exit_group, LAUNCHER_ANSWER); /* can it be executed at all? */
  if (count < 1) sys1(SYS_exit_group, LAUNCHER_NO_REQUEST);
  union {
    struct launcher_request request;
    unsigned char bytes[LAUNCHER_BUFFER];
  } buffer;
  buffer.request = (struct launcher_request){0}; /* the analyzer does not know that read() writes there */
  const char *few[FEW];
  struct launch launch;
  int ends[AIOSPAWN_ENDS];
  int stays = *parse_ends(arguments[0], ends) == 'i';
  int status = ends[AIOSPAWN_END_STATUS], reader = ends[AIOSPAWN_END_REQUEST], socket = reader;
  int files[INIT_FILES] = {-1, -1};
  long size = stays ? launcher_receive(socket, &buffer, sizeof buffer, files)
                    : sys3(SYS_read, reader, (long)&buffer, sizeof buffer);
  if (stays && size < 0) child_fail(status, size, AIOSPAWN_STEP_LAUNCHER, 0);
  if (size < (long)sizeof buffer.request) sys1(SYS_exit_group, LAUNCHER_NO_REQUEST);
  struct launcher_request request = buffer.request;
  sys3(SYS_fcntl, status, F_SETFD, FD_CLOEXEC);
  if (request.version != LAUNCHER_VERSION) child_fail(status, BAD_VERSION, AIOSPAWN_STEP_LAUNCHER, 0);
  sys5(SYS_prctl, SET_NAME, (long)LAUNCHER_NAME, 0, 0, 0); /* before it reports: until then it must not be taken for the program */
  child_say(status, "a");
  int has_lease = request.lease_ms != 0;
  if (stays) reader = files[has_lease];
  const unsigned char *base = buffer.bytes;
  long length = sys3(SYS_lseek, reader, 0, SEEK_END); /* of neither a pipe nor -1 */
  if (length > size) { /* a file */
    size = length;
    base = (const unsigned char *)map(status, (uint64_t)size, PROTECT_READ, MAP_ITS_OWN, reader);
  }
  if (reader >= 0) sys1(SYS_close, reader);
  if (stays) sys3(SYS_fcntl, socket, F_SETFD, FD_CLOEXEC);
  long result = launcher_read(&request, base, (uint64_t)size, ends, &launch);
  if (result < 0) child_fail(status, result, AIOSPAWN_STEP_LAUNCHER, 0);
  const char **candidates = few;
  if (request.candidates >= FEW)
    candidates = (const char **)map(status, ((uint64_t)request.candidates + 1) * sizeof(char *),
                                    PROTECT_READ | PROTECT_WRITE, MAP_ITS_OWN | MAP_NO_FILE, -1);
  launcher_point_candidates(&request, base, candidates);
  launch.candidates = (const char *const *)candidates;
  launch.arguments = arguments + 1;
  launch.variables = (const char *const *)arguments + count + 1;
  if (stays) {
    struct init_plan plan = {
        .socket = socket,
        .mode = request.init,
        .has_namespace = request.has_namespace,
        .has_cgroup = request.has_cgroup,
        .lists_children = request.lists_children,
        .lease_ms = request.lease_ms,
        .lease = has_lease ? files[0] : -1,
    };
    init_run(&launch, &plan);
  }
  child_run(&launch);
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start\n\thlt\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n\tmov x29, xzr\n\tmov x30, xzr\n\tmov x0, sp\n\tbl start\n\tbrk 0\n");
#endif
