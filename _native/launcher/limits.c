/* Compiled like child.c: raw system calls only.
 *
 * What is counted of a process (proc(5)):
 *  - memory: RssAnon, RssShmem and VmSwap of its status: what is its own and in no file. Pages that a fork still shares count for
 *    each that has them.
 *  - processor time: its own and that of the children it has waited for, from its stat; of those that init has reaped, by getrusage.
 *    Who ignores SIGCHLD loses its children's time at their end (wait(2)). */
#include "limits.h"

#include <fcntl.h>
#include <stddef.h>

#include "child/sys.h"

enum { LOOK_NS = 10000000, MS = 1000000, SECOND_NS = 1000000000, CLOCK_STEADY = 1 /* CLOCK_MONOTONIC */ };
enum { TICK_MS = 10 /* USER_HZ is 100 */, ALL_CHILDREN = -1 /* RUSAGE_CHILDREN */ };
enum { FIRST_TIME = 14, LAST_TIME = 17 /* utime, stime, cutime, cstime among the fields of stat */ };

static int64_t now_ns(void) {
  int64_t now[2] = {0, 0};
  sys2(SYS_clock_gettime, CLOCK_STEADY, (long)now);
  return now[0] * SECOND_NS + now[1];
}

void limits_begin(struct limits *limits, const struct launch *launch) {
  *limits = (struct limits){0};
  for (uint32_t i = 0; i < launch->step_count; i++) {
    const struct aiospawn_step *step = launch->steps + i;
    if (step->kind != AIOSPAWN_STEP_LIMIT) continue;
    limits->most[step->fd] = step->value;
    if (!step->value) limits->in_cgroup = 1;
  }
  limits->began_ns = now_ns();
  limits->needs_looks = limits->most[AIOSPAWN_LIMIT_MEMORY] || limits->most[AIOSPAWN_LIMIT_PROCESSES] ||
                        limits->most[AIOSPAWN_LIMIT_CPU];
}

int64_t limits_rest_ns(const struct limits *limits) {
  int64_t wall = limits->most[AIOSPAWN_LIMIT_WALL];
  if (!wall) return limits->needs_looks ? LOOK_NS : -1;
  int64_t left = limits->began_ns + wall * MS - now_ns();
  if (left < 0) return 0;
  return limits->needs_looks && left > LOOK_NS ? LOOK_NS : left;
}

static int64_t number_at(const char *text) {
  int64_t number = 0;
  while (*text == ' ' || *text == '\t') text++;
  for (; *text >= '0' && *text <= '9'; text++) number = number * 10 + (*text - '0');
  return number;
}

/* The sum of the lines of these names, in bytes. */
static int64_t memory_of(const char *status) {
  static const char *const names[] = {"\nRssAnon:", "\nRssShmem:", "\nVmSwap:"};
  int64_t sum = 0;
  for (const char *at = status; *at; at++)
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
      int length = 0;
      while (names[i][length] && at[length] == names[i][length]) length++;
      if (!names[i][length]) sum += number_at(at + length) * 1024;
    }
  return sum;
}

/* "number (name) state parent ...", and the name may hold anything: fields are counted from its last parenthesis. */
static int64_t time_of(const char *stat) {
  const char *at = stat;
  int64_t ticks = 0;
  for (const char *each = stat; *each; each++)
    if (*each == ')') at = each;
  for (int field = 2; *at && field < LAST_TIME; at++)
    if (*at == ' ' && ++field >= FIRST_TIME) ticks += number_at(at + 1);
  return ticks * TICK_MS;
}

static int64_t time_of_reaped(void) {
  int64_t usage[18] = {0}; /* struct rusage: the user's and the system's seconds and microseconds come first */
  sys2(SYS_getrusage, ALL_CHILDREN, (long)usage);
  return (usage[0] + usage[2]) * 1000 + (usage[1] + usage[3]) / 1000;
}

/* Short turns come sooner: sched_runtime of SCHED_OTHER, Linux 6.12 (sched(7)). */
void limits_come_first(void) {
  struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t turn_ns, deadline, period;
  } wish = {.size = sizeof wish, .turn_ns = 100000};
  sys3(SYS_setpriority, 0, 0, -20);
  long rank = sys2(SYS_getpriority, 0, 0); /* 20 - nice */
  wish.nice = rank > 0 ? (int32_t)(20 - rank) : 0;
  if (rank > 0 && sys1(SYS_sched_getscheduler, 0) == 0 /* SCHED_OTHER */) sys3(SYS_sched_setattr, 0, (long)&wish, 0);
}

enum aiospawn_limit limits_exceeded(const struct limits *limits, struct tree *tree, const struct tree_cgroup *cgroup) {
  const int64_t *most = limits->most;
  char text[4096];
  if (most[AIOSPAWN_LIMIT_WALL] && now_ns() - limits->began_ns >= most[AIOSPAWN_LIMIT_WALL] * MS) return AIOSPAWN_LIMIT_WALL;
  if (limits->in_cgroup && tree_cgroup_is_out_of_memory(cgroup)) return AIOSPAWN_LIMIT_MEMORY;
  if (!limits->needs_looks) return AIOSPAWN_NO_LIMIT;
  int64_t memory = 0, time = most[AIOSPAWN_LIMIT_CPU] ? time_of_reaped() : 0;
  uint32_t count = tree_list(tree, most[AIOSPAWN_LIMIT_PROCESSES]);
  if (most[AIOSPAWN_LIMIT_PROCESSES] && count > most[AIOSPAWN_LIMIT_PROCESSES]) return AIOSPAWN_LIMIT_PROCESSES;
  for (uint32_t i = 0; i < count; i++) {
    if (most[AIOSPAWN_LIMIT_MEMORY] && tree_read(tree, tree->queue[i].pid, "/status", text, sizeof text) > 0) memory += memory_of(text);
    if (most[AIOSPAWN_LIMIT_CPU] && tree_read(tree, tree->queue[i].pid, "/stat", text, sizeof text) > 0) time += time_of(text);
  }
  if (most[AIOSPAWN_LIMIT_MEMORY] && memory > most[AIOSPAWN_LIMIT_MEMORY]) return AIOSPAWN_LIMIT_MEMORY;
  if (most[AIOSPAWN_LIMIT_CPU] && (time > most[AIOSPAWN_LIMIT_CPU] || tree_cgroup_time(cgroup) > most[AIOSPAWN_LIMIT_CPU]))
    return AIOSPAWN_LIMIT_CPU;
  return AIOSPAWN_NO_LIMIT;
}
