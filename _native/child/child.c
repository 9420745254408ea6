/* The child, from clone to execve.
 *
 * It shares the parent's memory and the thread-local storage of a thread that is running meanwhile. Hence the contract,
 * which clone.c and the step_*.c files are under as well:
 *
 *  - raw system calls only: no libc call, so no errno, no malloc, no lock, no lazy binding. libc's sigaction takes a lock
 *    that another thread may hold for good (glibc >= 2.41); libc's set*id signals all threads of the parent.
 *    The files are compiled without stack protector, builtins and sanitizers; a test reads their undefined symbols.
 *  - it reads its struct flight and writes its own stack, and the two words of the flight that say where it is (child.h). What
 *    else it has to say goes through the status pipe.
 *  - all signals stay blocked until the handlers are gone: a handler of the parent would run here, on the parent's memory.
 *  - no core is dumped, which would be one of the parent's memory: see core_forbid().
 *  - it never returns: on x86 the caller's shadow stack is not ours.
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
    [AIOSPAWN_STEP_NO_NEW_PRIVS] = step_no_new_privs,
    [AIOSPAWN_STEP_LANDLOCK] = step_landlock,
    [AIOSPAWN_STEP_SECCOMP] = step_seccomp,
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

/* Every candidate is tried; the first error that is more than an absence counts, as in CPython. */
static long execute(const struct walk *walk) {
  const struct flight *flight = walk->flight;
  long found = 0, result = NOT_FOUND;
  if (flight->program != AIOSPAWN_NO_FD)
    return sys5(SYS_execveat, operand(walk, flight->program), (long)"", (long)flight->arguments, (long)flight->variables,
                AT_EMPTY_PATH);
  for (const char *const *path = flight->candidates; *path; path++) {
    result = sys3(SYS_execve, (long)*path, (long)flight->arguments, (long)flight->variables);
    if (result != NOT_FOUND && result != NO_DIRECTORY && !found) found = result;
  }
  return found ? found : result;
}

void child_say(int status, const char *byte) {
  uint64_t set = 1 << (SIGPIPE_NUMBER - 1);
  long nothing[2] = {0, 0};
  if (sys3(SYS_write, status, (long)byte, 1) != BROKEN_PIPE) return;
  /* Nobody listens. The signal that came with it would fire when the mask opens. */
  sys4(SYS_rt_sigtimedwait, (long)&set, 0, (long)nothing, sizeof set);
}

/* No descriptor is touched before the table is our own (parent/fd_block.h); then the siblings' are closed, for a slow execve here
 * must not hold back the end of another child's status pipe. */
static void leave_table(struct flight *flight) {
  long result = sys3(SYS_close_range, flight->landing_beyond, ~0u, UNSHARE_TABLE);
  if (result < 0) child_fail(flight->status, result, AIOSPAWN_STEP_CLOSE, 0);
  if (flight->awaited) {
    if (swap_word(&flight->alive, ALIVE) == GIVEN_UP) quit(); /* another is in its place */
    sys3(SYS_futex, (long)&flight->alive, WAKE, 1);
  }
  __atomic_store_n(&flight->left, 1, __ATOMIC_RELEASE);
  if (!flight->awaited) child_say(flight->status, "l");
  if (flight->landing > flight->landing_block) sys3(SYS_close_range, flight->landing_block, flight->landing - 1, 0);
  int next = flight->landing + AIOSPAWN_ENDS;
  if (next < flight->landing_beyond) sys3(SYS_close_range, next, flight->landing_beyond - 1, 0);
  for (int stream = 0; stream < AIOSPAWN_STREAMS; stream++)
    if (flight->inherits >> stream & 1) {
      result = sys3(SYS_dup3, flight->landing + stream, stream, 0);
      if (result < 0) child_fail(flight->status, result, AIOSPAWN_STEP_INHERIT, (uint32_t)stream);
    }
}

/* A child with a copy of the table has the ends of those that share it: it may linger, and they must not wait for it. */
static void close_siblings(const struct flight *flight) {
  for (int bit = 0; bit < 64 * LANDING_WORDS; bit++) {
    if (!flight->siblings[bit / 64]) bit |= 63;
    else if (flight->siblings[bit / 64] >> bit % 64 & 1) sys1(SYS_close, flight->landing_block + bit);
  }
}

uint32_t child_walk(struct walk *walk, uint32_t index) {
  const struct flight *flight = walk->flight;
  for (; index < flight->step_count; index++) {
    const struct aiospawn_step *step = &flight->steps[index];
    if (step->kind == AIOSPAWN_STEP_PREEXEC_FN) break;
    long result = steps[step->kind](walk, step);
    if (result < 0) child_fail(flight->status, result, step->kind, flight->first_index + index);
  }
  return index;
}

void child_execute(struct walk *walk) {
  const struct flight *flight = walk->flight;
  /* From here on a pending signal may end the child: by its default action, in its own name, unless it would dump core. */
  if (~flight->mask) {
    core_forbid(walk);
    sys_sigmask(&flight->mask, NULL);
  }
  child_fail(flight->status, execute(walk), flight->execve_kind, flight->step_count);
}

void child_run(void *argument) {
  struct walk walk;
  struct flight *flight = argument;
  walk.flight = flight;
  walk.no_core = 0;
  if (flight->landing >= 0) leave_table(flight);
  else close_siblings(flight);
  if (flight->clear_handlers) signal_clear_handlers();
  child_walk(&walk, 0);
  child_execute(&walk);
}
