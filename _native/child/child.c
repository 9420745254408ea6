/* The pre-exec section: the child, from clone to execve.
 *
 * It shares the parent's memory and the thread-local storage of a thread that is running meanwhile. Hence the contract,
 * which clone.c and the step_*.c files are under as well:
 *
 *  - raw system calls only: no libc call, so no errno, no malloc, no lock, no lazy binding. libc's sigaction takes a lock
 *    that another thread may hold for good (glibc >= 2.41); libc's set*id signals all threads of the parent.
 *    The files are compiled without stack protector, builtins and sanitizers; a test reads their undefined symbols.
 *  - it reads its struct launch and writes its own stack, and the two words of the launch that show where it is (launch.h).
 *    Everything else it reports through the status pipe, or in the launch's record where nobody waits for it to start.
 *  - all signals stay blocked until the handlers are gone: a handler of the parent would run here, on the parent's memory.
 *  - no core is dumped, which would be one of the parent's memory: see core_forbid().
 *  - it never returns: on x86 it has no part of the caller's shadow stack.
 *  - nothing that acts on the shared memory's owner: credentials clear the parent's dumpable flag, oom_score_adj and
 *    prctl(PR_SET_MM ...) are the parent's too, a memory cgroup charges and kills the parent, a seccomp filter may end the
 *    child by a signal that no handler catches and dump the memory. Such steps run in the launcher's memory (launcher/main.c),
 *    or in a clone that shares none.
 */
#include "child.h"

#include <fcntl.h>
#include <stddef.h>

#include "steps.h"
#include "sys.h"

enum {
  NOT_FOUND = -2,     /* ENOENT */
  NO_DIRECTORY = -20, /* ENOTDIR */
  INTERRUPTED = -4,   /* EINTR */
  BROKEN_PIPE = -32,  /* EPIPE */
  SIGPIPE_NUMBER = 13,
  UNSHARE_TABLE = 2,  /* CLOSE_RANGE_UNSHARE */
  WAKE = 1            /* FUTEX_WAKE */
};

static step_function *const steps[AIOSPAWN_STEP_KINDS] = {
    [AIOSPAWN_STEP_SAVE] = step_save,
    [AIOSPAWN_STEP_DUP] = step_dup,
    [AIOSPAWN_STEP_DUP_SAVED] = step_dup_saved,
    [AIOSPAWN_STEP_CLOEXEC] = step_cloexec,
    [AIOSPAWN_STEP_OPEN] = step_open,
    [AIOSPAWN_STEP_CLOSE] = step_close,
    [AIOSPAWN_STEP_CHROOT] = step_chroot,
    [AIOSPAWN_STEP_CHDIR] = step_chdir,
    [AIOSPAWN_STEP_FCHDIR] = step_fchdir,
    [AIOSPAWN_STEP_UMASK] = step_umask,
    [AIOSPAWN_STEP_SETSID] = step_setsid,
    [AIOSPAWN_STEP_SETPGID] = step_setpgid,
    [AIOSPAWN_STEP_TIOCSCTTY] = step_tiocsctty,
    [AIOSPAWN_STEP_TCSETPGRP] = step_tcsetpgrp,
    [AIOSPAWN_STEP_SIGDEFAULT] = step_sigdefault,
    [AIOSPAWN_STEP_SIGIGNORE] = step_sigignore,
    [AIOSPAWN_STEP_RLIMIT] = step_rlimit,
    [AIOSPAWN_STEP_NICE] = step_nice,
    [AIOSPAWN_STEP_SCHEDULER] = step_scheduler,
    [AIOSPAWN_STEP_AFFINITY] = step_affinity,
    [AIOSPAWN_STEP_IOPRIO] = step_ioprio,
    [AIOSPAWN_STEP_OOM_SCORE_ADJ] = step_oom_score_adj,
    [AIOSPAWN_STEP_TIMER_SLACK] = step_timer_slack,
    [AIOSPAWN_STEP_PDEATHSIG] = step_pdeathsig,
    [AIOSPAWN_STEP_CGROUP] = step_cgroup,
    [AIOSPAWN_STEP_HOOK] = step_hook,
    [AIOSPAWN_STEP_SETNS] = step_setns,
    [AIOSPAWN_STEP_UNSHARE] = step_unshare,
    [AIOSPAWN_STEP_BOUNDING] = step_bounding,
    [AIOSPAWN_STEP_KEEPCAPS] = step_keepcaps,
    [AIOSPAWN_STEP_SETGROUPS] = step_setgroups,
    [AIOSPAWN_STEP_SETGID] = step_setgid,
    [AIOSPAWN_STEP_SETUID] = step_setuid,
    [AIOSPAWN_STEP_CAPSET] = step_capset,
    [AIOSPAWN_STEP_AMBIENT] = step_ambient,
    [AIOSPAWN_STEP_PRCTL] = step_prctl,
    [AIOSPAWN_STEP_LANDLOCK] = step_landlock,
    [AIOSPAWN_STEP_SECCOMP] = step_seccomp,
    [AIOSPAWN_STEP_LIMIT] = step_limit,
    [AIOSPAWN_STEP_VIEW] = step_view,
    [AIOSPAWN_STEP_LANDLOCK_RULES] = step_landlock_rules,
};

__attribute__((noreturn)) static void quit(void) {
  for (;;) sys1(SYS_exit_group, EXIT_LOST);
}

void child_fail(int status, long error, uint32_t kind, uint32_t index) {
  struct failure failure = {.error = (int32_t)-error, .kind = (uint16_t)kind, .index = (uint16_t)index};
  /* The parent may be gone: SIGPIPE is blocked like every signal, and stays so. */
  while (sys3(SYS_write, status, (long)&failure, sizeof failure) == INTERRUPTED) {
  }
  quit();
}

/* Every candidate is tried; the first error other than ENOENT and ENOTDIR is the one that is reported, as in CPython. */
static long execute(const struct step_context *context) {
  const struct launch *launch = context->launch;
  long found = 0, result = NOT_FOUND;
  if (launch->program != AIOSPAWN_NO_FD)
    return sys5(SYS_execveat, operand(context, launch->program), (long)"", (long)launch->arguments, (long)launch->variables,
                AT_EMPTY_PATH);
  for (const char *const *path = launch->candidates; *path; path++) {
    result = sys3(SYS_execve, (long)*path, (long)launch->arguments, (long)launch->variables);
    if (result != NOT_FOUND && result != NO_DIRECTORY && !found) found = result;
  }
  return found ? found : result;
}

/* The record has its error last, and before the kernel clears the word `alive`, on every processor. */
__attribute__((noreturn)) static void fail(const struct launch *launch, long error, uint32_t kind, uint32_t index) {
  struct failure *record = launch->record;
  if (!record) child_fail(launch->status, error, kind, index);
  record->kind = (uint16_t)kind;
  record->index = (uint16_t)index;
  __atomic_store_n(&record->error, (int32_t)-error, __ATOMIC_RELEASE);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  quit();
}

void child_say(int status, const char *byte) {
  uint64_t set = 1 << (SIGPIPE_NUMBER - 1);
  long nothing[2] = {0, 0};
  if (sys3(SYS_write, status, (long)byte, 1) != BROKEN_PIPE) return;
  /* The signal that came with the error would be delivered when the mask opens. */
  sys4(SYS_rt_sigtimedwait, (long)&set, 0, (long)nothing, sizeof set);
}

/* No descriptor is touched before the table is our own (parent/fd_block.h); then those of other children are closed, for a slow
 * execve here must not hold back the end of another child's status pipe. */
static void leave_table(struct launch *launch) {
  long result = sys3(SYS_close_range, launch->block_beyond, ~0u, UNSHARE_TABLE);
  if (result < 0) child_fail(launch->status, result, AIOSPAWN_STEP_CLOSE, 0);
  if (launch->awaited) {
    if (swap_word(&launch->alive, ALIVE) == GIVEN_UP) quit(); /* the parent has made another child in its place */
    sys3(SYS_futex, (long)&launch->alive, WAKE, 1);
  }
  __atomic_store_n(&launch->left_table, 1, __ATOMIC_RELEASE);
  if (!launch->awaited) child_say(launch->status, "l");
  if (launch->segment > launch->block_first) sys3(SYS_close_range, launch->block_first, launch->segment - 1, 0);
  int next = launch->segment + AIOSPAWN_ENDS;
  if (next < launch->block_beyond) sys3(SYS_close_range, next, launch->block_beyond - 1, 0);
  for (int stream = 0; stream < AIOSPAWN_STREAMS; stream++)
    if (launch->inherits >> stream & 1) {
      result = sys3(SYS_dup3, launch->segment + stream, stream, 0);
      if (result < 0) child_fail(launch->status, result, AIOSPAWN_STEP_INHERIT, (uint32_t)stream);
    }
}

/* A child with a copy of the table has the ends of those that share it, which must not wait for its execve. */
static void close_siblings(const struct launch *launch) {
  for (int bit = 0; bit < 64 * FD_BLOCK_WORDS; bit++) {
    if (!launch->siblings[bit / 64]) bit |= 63;
    else if (launch->siblings[bit / 64] >> bit % 64 & 1) sys1(SYS_close, launch->block_first + bit);
  }
}

static char *append_number(char *to, uint32_t number) {
  char digits[12];
  int count = 0;
  do digits[count++] = (char)('0' + number % 10);
  while (number /= 10);
  while (count) *to++ = digits[--count];
  return to;
}

static long map_id(const char *file, uint32_t id) {
  char text[32], *end = append_number(text, id);
  *end++ = ' ';
  end = append_number(end, id);
  *end++ = ' ';
  *end++ = '1';
  return write_file(AT_FDCWD, file, text, end - text);
}

/* Before the launcher's execve, which takes the rights in the new namespace away from a process that is not root there. One
 * that may not set groups outside has to give that up inside as well (user_namespaces(7)). */
static void map_ids(const struct launch *launch) {
  long result = write_file(AT_FDCWD, "/proc/self/setgroups", "deny", 4);
  if (result >= 0) result = map_id("/proc/self/gid_map", launch->group);
  if (result >= 0) result = map_id("/proc/self/uid_map", launch->user);
  if (result < 0) child_fail(launch->status, result, AIOSPAWN_STEP_INIT, 0);
}

uint32_t child_run_steps(struct step_context *context, uint32_t index) {
  const struct launch *launch = context->launch;
  for (; index < launch->step_count; index++) {
    const struct aiospawn_step *step = &launch->steps[index];
    if (step->kind == AIOSPAWN_STEP_PREEXEC_FN) break;
    long result = steps[step->kind](context, step);
    if (result < 0) fail(launch, result, step->kind, launch->first_index + index);
  }
  return index;
}

void child_execute(struct step_context *context) {
  const struct launch *launch = context->launch;
  /* From here on a pending signal may end the child: by its default action, in its own name, unless it would dump core. */
  if (~launch->mask) {
    core_forbid(context);
    sys_sigmask(&launch->mask, NULL);
  }
  fail(launch, execute(context), launch->execve_kind, launch->step_count);
}

void child_run(void *argument) {
  struct step_context context;
  struct launch *launch = argument;
  context.launch = launch;
  context.no_core = 0;
  context.view = -1;
  if (launch->segment >= 0) leave_table(launch);
  else close_siblings(launch);
  if (launch->clear_handlers) signal_clear_handlers();
  if (launch->in_new_user) map_ids(launch);
  child_run_steps(&context, 0);
  child_execute(&context);
}
