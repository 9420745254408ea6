/* Init. Compiled like child.c, and a part of the launcher only: raw system calls, and all signals stay blocked.
 *
 * Facts and rules:
 *  - a child subreaper is given every orphan of its tree (prctl(2)). So each process that is left is a child of init, and when waitid says
 *    that there is none the tree has ended, also where a process made a session of its own or forked twice.
 *  - its process group is its own: what is sent to the launching process's group, SIGKILL among it, does not reach it. The command
 *    stays in that group, unless it is to lead one.
 *  - it has no descriptor of the command's: pipes end with the tree.
 *  - signals that the kernel sends by itself, a terminal's, reach the command where they should; what is sent to init by somebody
 *    is passed on.
 *  - a tree is stopped from the top before it is killed: a shell whose child is killed would go on with the next command, and what
 *    forks without end would fill the places that the killed leave. A stopped process keeps its place and its children.
 *  - then everybody is killed, again and again, until waitid says that nobody is left: orphans come to init.
 *  - as process 1 of a PID namespace it is what orphans come to anyway, one kill(-1) reaches everybody, and its own end ends the
 *    namespace (pid_namespaces(7)). No signal ends it there, its own neither: how the command ended is in the report. */
#include "init.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "limits.h"
#include "tree.h"
#include "tree_cgroup.h"
#include "child/steps.h"

enum {
  SET_DUMPABLE = 4, SET_NAME = 15, SET_CHILD_SUBREAPER = 36, /* <sys/prctl.h> would drag libc's prctl in */
  ANYBODY = 0 /* P_ALL */, EVERY_KIND = 0x40000000 /* __WALL */, EXITED = 4 /* WEXITED */, AT_ONCE = 1 /* WNOHANG */,
  ALL_CHILDREN = -1 /* RUSAGE_CHILDREN */,
  MOST_FREEZES = 1000, MOST_SIGNALS = 64, MOST_REAPED = 1024,
  FIRST_REST_MS = 2, LAST_REST_MS = 1000,
  SECOND_NS = 1000000000
};

struct init {
  struct tree tree;
  struct limits limits;
  enum init_mode mode;
  int socket, signals;             /* descriptors: the socket, signalfd */
  int command;                     /* its pid */
  int has_ended;                   /* the command has, */
  int status;                      /* its exit status, or the negated signal */
  int is_stopping;                 /* everybody was asked to end: those who are left have time */
  int is_ending;                   /* everybody is killed */
  int has_children;
  int is_behind;                   /* there may be more to reap */
  int has_refused;                 /* reported once */
  int has_exceeded;                /* a limit: likewise */
  uint32_t reaped, expected;       /* children since the last round of killing, and how many were killed in it */
  uint32_t rounds;                 /* of killing; the tree is frozen before those whose number is a power of two */
  int rest_ms;                     /* to the next one */
  struct tree_cgroup cgroup;
  const int64_t *renewed;          /* of the lease, or NULL: there is none */
  int64_t lease_ns;
  struct init_report report;
};

static long control(int option, long value) { return sys5(SYS_prctl, option, value, 0, 0, 0); }

static void tell(struct init *init, enum init_report_kind kind) {
  init->report.kind = kind;
  sys6(SYS_sendto, init->socket, (long)&init->report, sizeof init->report, MSG_NOSIGNAL | MSG_DONTWAIT, 0, 0);
}

static void tell_limit(struct init *init, enum aiospawn_limit limit) {
  if (init->has_exceeded) return;
  init->has_exceeded = 1;
  init->report.pid = (int32_t)limit;
  tell(init, INIT_REPORT_LIMIT);
}

/* ---- the tree's end -------------------------------------------------------------------------------------------------- */

/* Ended by the same signal, so that a process that waits for init sees how the command ended; process 1 exits with 128 and its
 * number, as a shell does. No core: it has been dumped. Others that wait, unread, stay blocked: one of them might be its end instead. */
__attribute__((noreturn)) static void end_by(int number) {
  uint64_t others = ~((uint64_t)1 << (number - 1));
  control(SET_DUMPABLE, 0);
  if (number != SIGKILL) signal_set(number, SIG_DFL);
  sys2(SYS_kill, sys0(SYS_getpid), number);
  sys_sigmask(&others, NULL);
  for (;;) sys1(SYS_exit_group, 128 + number);
}

__attribute__((noreturn)) static void end(struct init *init) {
  if (init->limits.in_cgroup && tree_cgroup_is_out_of_memory(&init->cgroup)) tell_limit(init, AIOSPAWN_LIMIT_MEMORY);
  if (init->mode != INIT_LEAVE || init->is_ending || init->is_stopping)
    sys2(SYS_getrusage, ALL_CHILDREN, (long)init->report.usage);
  init->report.status = init->status;
  tell(init, INIT_REPORT_ENDED);
  if (init->socket < 0) tree_cgroup_remove(&init->cgroup); /* nobody else will */
  if (init->status < 0) end_by(-init->status);
  for (;;) sys1(SYS_exit_group, init->status);
}

/* All that have ended; of what ends without end only so many at a time, for there are orders to obey. */
static void reap(struct init *init) {
  siginfo_t info;
  unsigned char usage[sizeof init->report.usage];
  init->is_behind = 0;
  for (int most = MOST_REAPED; most--;) {
    info.si_pid = 0;
    long result = sys5(SYS_waitid, ANYBODY, 0, (long)&info, EXITED | AT_ONCE | EVERY_KIND, (long)usage);
    if (result == -EINTR) continue;
    init->has_children = result != -ECHILD;
    if (result < 0 || info.si_pid == 0) return;
    init->reaped++;
    if (info.si_pid != init->command || init->has_ended) continue;
    init->has_ended = 1;
    init->status = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    memcpy(init->report.usage, usage, sizeof usage);
  }
  init->is_behind = 1;
}

/* Until the same processes are there twice, which got no child in between, for all of them were stopped. */
static void freeze(struct init *init) {
  uint64_t before = 0;
  uint32_t count = 0;
  for (int pass = 0; pass < MOST_FREEZES; pass++) {
    struct found found = {0};
    tree_signal(&init->tree, SIGSTOP, 0, &found);
    if (pass && found.hash == before && found.count == count) break;
    before = found.hash;
    count = found.count;
  }
}

static void kill_round(struct init *init) {
  struct found found = {0};
  if (!init->tree.is_namespace && (init->rounds & (init->rounds - 1)) == 0) freeze(init);
  init->rounds++;
  tree_cgroup_kill(&init->cgroup);
  tree_kill(&init->tree, &found);
  init->expected = found.count;
  init->reaped = 0;
  if (found.refused && !found.count && !init->has_refused) {
    init->report.pid = found.refusing;
    tell(init, INIT_REPORT_REFUSED);
    init->has_refused = 1;
  }
}

static void begin_ending(struct init *init) {
  if (init->is_ending) return;
  init->is_ending = 1;
  init->rest_ms = FIRST_REST_MS;
  kill_round(init);
}

/* The next round comes when all that were killed are reaped, for their children are here by then; or after a while, for a process
 * may be in a wait that cannot be interrupted. */
static void go_on_ending(struct init *init, int nothing_happened) {
  if (!init->has_children) return;
  if (init->reaped >= init->expected && init->expected) {
    init->rest_ms = FIRST_REST_MS;
  } else if (nothing_happened) {
    init->rest_ms = init->rest_ms < LAST_REST_MS / 2 ? 2 * init->rest_ms : LAST_REST_MS;
  } else {
    return;
  }
  kill_round(init);
}

/* ---- its orders ------------------------------------------------------------------------------------------------------ */

/* The command's number is its own until it is reaped; a group's as long as it has members. */
static void pass_on(struct init *init, int number, int to_group) {
  struct found found = {0};
  if (to_group && init->has_ended) tree_signal(&init->tree, number, init->command, &found);
  else if (init->has_ended) return;
  else if (!to_group || sys2(SYS_kill, -init->command, number) < 0) sys2(SYS_kill, init->command, number);
}

static void obey(struct init *init, const struct init_order *order) {
  struct found found = {0};
  switch (order->kind) {
    case INIT_ORDER_SIGNAL:
    case INIT_ORDER_GROUP:
      pass_on(init, order->signal, order->kind == INIT_ORDER_GROUP);
      break;
    case INIT_ORDER_TREE:
      init->is_stopping = 1;
      tree_signal(&init->tree, order->signal, 0, &found);
      break;
    case INIT_ORDER_KILL:
      begin_ending(init);
      break;
    default:
      break;
  }
}

/* Nobody but the launching process writes there: no message is its end. */
static void read_orders(struct init *init) {
  struct init_order order = {0};
  for (;;) {
    long length = sys6(SYS_recvfrom, init->socket, (long)&order, sizeof order, MSG_DONTWAIT, 0, 0);
    if (length == -EAGAIN || length == -EINTR || length == -ENOMEM) return; /* neither a message nor its end */
    if (length != sizeof order) break;
    obey(init, &order);
  }
  sys1(SYS_close, init->socket);
  init->socket = -1;
  begin_ending(init);
}

/* Job control is the whole job's. Where the command has left the session, a signal of the terminal's would not stop it: its
 * process group is an orphaned one there. */
static void pass_on_by_somebody(struct init *init, int number) {
  int stops = number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
  if (stops && sys1(SYS_getsid, init->command) != sys1(SYS_getsid, 0)) number = SIGSTOP;
  pass_on(init, number, stops || number == SIGCONT);
}

/* A process that floods it with signals must not keep it from its orders. */
static void read_signals(struct init *init) {
  struct signalfd_siginfo info = {0};
  for (int most = MOST_SIGNALS; most-- && sys3(SYS_read, init->signals, (long)&info, sizeof info) == sizeof info;)
    if (info.ssi_code <= 0) pass_on_by_somebody(init, (int)info.ssi_signo); /* SI_USER, SI_QUEUE, SI_TKILL */
}

/* To the end of the lease, as it is now. */
static int64_t lease_left(const struct init *init) {
  int64_t now[2] = {0, 0};
  sys2(SYS_clock_gettime, 1 /* CLOCK_MONOTONIC */, (long)now);
  return __atomic_load_n(init->renewed, __ATOMIC_ACQUIRE) + init->lease_ns - (now[0] * SECOND_NS + now[1]);
}

/* How long it may rest, or -1: until something happens. */
static int64_t rest_ns(const struct init *init) {
  if (init->is_behind) return 0;
  if (init->is_ending) return (int64_t)init->rest_ms * 1000000;
  int64_t rest = limits_rest_ns(&init->limits);
  if (!init->renewed) return rest;
  int64_t left = lease_left(init);
  if (left < 0) return 0;
  return rest < 0 || left < rest ? left : rest;
}

static void look_at_limits(struct init *init) {
  enum aiospawn_limit limit = limits_exceeded(&init->limits, &init->tree, &init->cgroup);
  if (limit == AIOSPAWN_NO_LIMIT) return;
  tell_limit(init, limit);
  if (limit == AIOSPAWN_LIMIT_PROCESSES && !init->has_ended) tree_kill_group(init->command);
  begin_ending(init);
}

static void wait_and_look(struct init *init) {
  struct pollfd watched[] = {
      {.fd = init->signals, .events = POLLIN},
      {.fd = init->socket, .events = POLLIN},
      {.fd = init->limits.in_cgroup ? init->cgroup.events : -1, .events = POLLPRI}, /* until it is read again (cgroups(7)) */
  };
  int64_t wait = rest_ns(init);
  int was_behind = init->is_behind;
  int64_t rest[2] = {wait / SECOND_NS, wait % SECOND_NS};
  long ready = sys5(SYS_ppoll, (long)watched, sizeof watched / sizeof *watched, wait < 0 ? 0 : (long)rest, 0, 0);
  if (watched[1].revents && ready > 0) read_orders(init);
  if (watched[0].revents && ready > 0) read_signals(init);
  reap(init);
  if (init->is_ending) go_on_ending(init, ready == 0 && !was_behind);
  else if (init->renewed && lease_left(init) <= 0) begin_ending(init);
  else if (init->has_children && (limits_rest_ns(&init->limits) >= 0 || watched[2].revents)) look_at_limits(init);
}

static int is_over(const struct init *init) {
  if (!init->has_ended) return 0;
  return !init->has_children || (init->mode == INIT_LEAVE && !init->is_ending && !init->is_stopping);
}

__attribute__((noreturn)) static void keep(struct init *init) {
  for (;;) {
    reap(init);
    if (is_over(init)) end(init);
    if (init->has_ended && init->mode == INIT_KILL && !init->is_stopping && !init->is_ending) {
      begin_ending(init);
      continue;
    }
    wait_and_look(init);
  }
}

/* ---- the beginning --------------------------------------------------------------------------------------------------- */

/* A process that was killed before the command was made has nothing to end. */
static void leave_if_told(int socket) {
  struct init_order order = {0};
  long length = sys6(SYS_recvfrom, socket, (long)&order, sizeof order, MSG_DONTWAIT | MSG_PEEK, 0, 0);
  if (length == 0 || length == -ECONNRESET || (length == sizeof order && order.kind == INIT_ORDER_KILL)) end_by(SIGKILL);
}

/* The page is shared by all that this process launches. */
static long lease_take(struct init *init, const struct init_plan *plan) {
  enum { SIZE = 4096, READ = 1, SHARED = 1, BAD_REQUEST = -71 /* EPROTO */ };
  if (!plan->lease_ms) return 0;
  if (plan->lease < 0) return BAD_REQUEST;
  long page = sys6(SYS_mmap, 0, SIZE, READ, SHARED, plan->lease, 0);
  if (page < 0 && page > -4096) return page;
  init->renewed = (const int64_t *)page;
  init->lease_ns = (int64_t)plan->lease_ms * 1000000;
  return 0;
}

/* Everything but what init needs. */
static void close_others(const struct init *init, const struct launch *launch) {
  struct launch kept = *launch;
  struct step_context context;
  static const struct aiospawn_step all = {.kind = AIOSPAWN_STEP_CLOSE, .fd = 0, .value = INT32_MAX};
  const int needed[AIOSPAWN_ENDS] = {init->socket, init->signals, init->tree.proc, init->cgroup.above, init->cgroup.events};
  memcpy(kept.ends, needed, sizeof needed);
  kept.status = -1;
  kept.program = AIOSPAWN_NO_FD;
  context.launch = &kept;
  if (step_close(&context, &all) >= 0) return;
  /* At least the pipes: their ends would tell nothing before init's own. */
  for (int end = 0; end < AIOSPAWN_ENDS; end++)
    if (launch->ends[end] >= 0 && launch->ends[end] != init->socket) sys1(SYS_close, launch->ends[end]);
}

static long prepare(struct init *init) {
  uint64_t all = ~(uint64_t)0;
  long result = control(SET_CHILD_SUBREAPER, 1);
  if (result == 0) result = tree_open(&init->tree);
  if (result == 0) result = sys4(SYS_signalfd4, -1, (long)&all, sizeof all, SFD_CLOEXEC | SFD_NONBLOCK);
  if (result < 0) return result;
  init->signals = (int)result;
  return 0;
}

/* Has the command a process group or a session of its own? */
static int leads_group(const struct launch *launch) {
  for (uint32_t i = 0; i < launch->step_count; i++) {
    const struct aiospawn_step *step = launch->steps + i;
    if (step->kind == AIOSPAWN_STEP_SETSID || (step->kind == AIOSPAWN_STEP_SETPGID && step->value == 0)) return 1;
  }
  return 0;
}

/* Signals to the command's group, or to the parent's, must not meet init. Where the command leads a group, a group in the same
 * session is enough, and the command's is no orphaned one (credentials(7)), which could not be stopped from its terminal. Where
 * the command is in its parent's group, init goes into another session: else the command's end could make that group an orphaned
 * one, and the kernel hangs up all of it where a member is stopped. So would that of a leader which fails before it leads: until
 * then it is in init's group. */
static void leave_group(int for_a_leader) {
  if (for_a_leader)
    sys2(SYS_setpgid, 0, 0);
  else
    sys1(SYS_setsid, 0);
}

void init_run(struct launch *launch, const struct init_plan *plan) {
  struct init init = {
      .socket = plan->socket,
      .mode = plan->mode,
      .cgroup = {.above = -1, .events = -1},
      .tree = {.lists_children = plan->lists_children, .is_namespace = plan->has_namespace},
  };
  long result = prepare(&init);
  if (result == 0) result = lease_take(&init, plan);
  if (result == 0 && plan->has_cgroup) result = tree_cgroup_take(&init.cgroup, launch);
  if (result < 0) child_fail(launch->status, result, AIOSPAWN_STEP_INIT, 0);
  leave_if_told(plan->socket);
  /* Ignored, the kernel would reap the tree by itself and report nothing. */
  int ignores = signal_is_ignored(SIGCHLD);
  if (ignores) signal_set(SIGCHLD, SIG_DFL);
  int leads = leads_group(launch);
  if (leads) leave_group(leads);
  launch->keeper = (int)sys0(SYS_getpid);
  limits_begin(&init.limits, launch);
  if (init.limits.needs_looks && init.tree.proc < 0) child_fail(launch->status, -ENOENT, AIOSPAWN_STEP_INIT, 0);
  if (init.limits.in_cgroup && init.cgroup.events < 0) child_fail(launch->status, -EPROTO, AIOSPAWN_STEP_INIT, 0);
  if (plan->has_namespace) control(SET_DUMPABLE, 0); /* the command is of the same user, and must not write to its memory */
  result = sys5(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (result < 0) child_fail(launch->status, result, AIOSPAWN_STEP_INIT, 0);
  if (result == 0) {
    if (plan->has_namespace) control(SET_DUMPABLE, 1);
    if (ignores) signal_set(SIGCHLD, SIG_IGN);
    child_run(launch);
  }
  if (!leads) leave_group(leads);
  init.command = (int)result;
  init.has_children = 1;
  control(SET_NAME, (long)INIT_NAME);
  close_others(&init, launch);
  if (init.limits.needs_looks) limits_come_first();
  keep(&init);
}
