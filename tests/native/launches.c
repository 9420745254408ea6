/* Launches by the native part alone, without an interpreter: for other processors, other C libraries and the sanitizers.
 *
 *   launches LAUNCHER PROGRAM                  each kind of launch in each variant, told line by line
 *   launches LAUNCHER PROGRAM THREADS COUNT    so many loops in threads of their own with so many launches each, while
 *                                              other threads signal, look, fork and open descriptors
 *
 * PROGRAM is that of launched.c. WITHOUT in the environment: feature bits that are not there. Exit status 0: all as it should
 * be. Where the probe says no, that is told and nothing is launched. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aiospawn.h"

static const char *launched_program;

/* ---- requests ------------------------------------------------------------------------------------------------------ */

struct draft {
  struct aiospawn_request head;
  struct aiospawn_step steps[16];
  char data[64], strings[PATH_MAX + 64];
  size_t strings_size;
};

static void add_step(struct draft *draft, uint32_t kind, int32_t fd, int64_t value, const char *text) {
  struct aiospawn_step *step = &draft->steps[draft->head.steps++];
  *step = (struct aiospawn_step){.kind = kind, .fd = fd, .value = value, .data = draft->head.data_size};
  if (!text) return;
  step->size = (uint32_t)strlen(text) + 1;
  memcpy(draft->data + draft->head.data_size, text, step->size);
  draft->head.data_size += step->size;
}

static void add_string(struct draft *draft, const char *text) {
  size_t size = strlen(text) + 1;
  memcpy(draft->strings + draft->strings_size, text, size);
  draft->strings_size += size;
}

/* The first two streams are pipes; through the launcher they must stay open across its execve. */
static struct draft draft_of(uint32_t flags, const char *program, const char *what, const char *directory, int umask, int group) {
  struct draft draft = {.head = {.version = AIOSPAWN_REQUEST_VERSION, .flags = flags, .top = 2, .program = AIOSPAWN_NO_FD}};
  draft.head.pipes[0] = AIOSPAWN_CHILD_READS;
  draft.head.pipes[1] = AIOSPAWN_CHILD_WRITES;
  draft.head.inherits = 1 << 2;
  static const int32_t across[] = {-1, -2, -1 - AIOSPAWN_END_STATUS, -1 - AIOSPAWN_END_REQUEST};
  for (int i = 0; flags & AIOSPAWN_VIA_LAUNCHER && i < 4; i++) add_step(&draft, AIOSPAWN_STEP_CLOEXEC, across[i], 0, NULL);
  draft.head.prelude = draft.head.steps;
  add_step(&draft, AIOSPAWN_STEP_DUP, -1, 0, NULL);
  add_step(&draft, AIOSPAWN_STEP_DUP, -2, 1, NULL);
  if (flags & AIOSPAWN_FORKED) add_step(&draft, AIOSPAWN_STEP_PREEXEC_FN, 0, 0, NULL);
  add_step(&draft, AIOSPAWN_STEP_CLOSE, 3, INT_MAX, NULL);
  if (directory) add_step(&draft, AIOSPAWN_STEP_CHDIR, 0, 0, directory);
  if (umask) add_step(&draft, AIOSPAWN_STEP_UMASK, 0, umask, NULL);
  if (group) add_step(&draft, AIOSPAWN_STEP_SETGID, 0, group, NULL);
  add_string(&draft, program);
  add_string(&draft, program);
  add_string(&draft, what);
  draft.head.candidates = 1;
  draft.head.arguments = 2;
  return draft;
}

/* As CPython does it for preexec_fn; here nothing runs between the steps. */
static int launch_forked(struct aiospawn_reactor *reactor, const unsigned char *bytes, size_t size,
                         struct aiospawn_launched *launched) {
  int gate = aiospawn_fork_prepare(reactor, bytes, size);
  if (gate < 0) return gate;
  pid_t pid = fork();
  if (pid == 0) {
    close(gate);
    aiospawn_fork_run_steps(reactor);
    aiospawn_fork_execute(reactor, 0);
    abort();
  }
  int result = pid < 0 ? -errno : aiospawn_fork_adopt(reactor, pid, launched);
  if (result < 0) aiospawn_fork_withdraw(reactor);
  if (result < 0 && pid > 0) waitpid(pid, NULL, 0);
  return result;
}

static int launch(struct aiospawn_reactor *reactor, const struct draft *draft, struct aiospawn_launched *launched) {
  unsigned char bytes[sizeof *draft], *end = bytes;
  end = (unsigned char *)memcpy(end, &draft->head, sizeof draft->head) + sizeof draft->head;
  size_t size = draft->head.steps * sizeof draft->steps[0];
  end = (unsigned char *)memcpy(end, draft->steps, size) + size;
  end = (unsigned char *)memcpy(end, draft->data, draft->head.data_size) + draft->head.data_size;
  end = (unsigned char *)memcpy(end, draft->strings, draft->strings_size) + draft->strings_size;
  int (*launch_bytes)(struct aiospawn_reactor *, const unsigned char *, size_t, struct aiospawn_launched *) = aiospawn_launch;
  if (draft->head.flags & AIOSPAWN_FORKED) launch_bytes = launch_forked;
  return launch_bytes(reactor, bytes, (size_t)(end - bytes), launched);
}

/* ---- events -------------------------------------------------------------------------------------------------------- */

struct outcome {
  char output[16];
  size_t length;
  int started, ended, failed, value, step, pipes_over;
};

static void note(struct outcome *outcome, const struct aiospawn_event *event, const unsigned char *data) {
  switch (event->kind) {
    case AIOSPAWN_STARTED: outcome->started = 1; break;
    case AIOSPAWN_DATA:
      if (outcome->length + event->length > sizeof outcome->output) abort();
      memcpy(outcome->output + outcome->length, data + event->offset, event->length);
      outcome->length += event->length;
      break;
    case AIOSPAWN_EOF: outcome->pipes_over = 1; break;
    case AIOSPAWN_FAILED:
      outcome->failed = outcome->ended = 1, outcome->value = event->value, outcome->step = event->extra;
      break;
    case AIOSPAWN_DIED: /* before its program ran: nothing has held it up until then */
      outcome->ended = outcome->pipes_over = 1, outcome->value = -event->value;
      break;
    case AIOSPAWN_EXITED:
      outcome->ended = 1, outcome->value = event->value;
      if (event->stream) outcome->pipes_over = 1;
      break;
    default: break;
  }
}

/* One wake-up. Outcomes are found by the places of their tokens in a row of launches. */
static void tick(struct aiospawn_reactor *reactor, const struct aiospawn_launched *launched, struct outcome *outcomes, int count) {
  struct pollfd ready = {.fd = aiospawn_reactor_epoll(reactor), .events = POLLIN};
  if (poll(&ready, 1, 60000) == 0) {
    fprintf(stderr, "nothing happens\n");
    _exit(1);
  }
  struct aiospawn_batch *batch = aiospawn_reactor_batch(reactor);
  if (aiospawn_poll(reactor) < 0) abort();
  for (; batch->head < batch->count; batch->head++)
    for (int i = 0; i < count; i++)
      if (launched[i].token == batch->events[batch->head].token) note(&outcomes[i], &batch->events[batch->head], batch->data);
}

static int is_over(const struct outcome *outcome) { return outcome->ended && (outcome->failed || outcome->pipes_over); }

/* ---- each kind of launch ------------------------------------------------------------------------------------------- */

struct check {
  const char *name;
  uint32_t flags;
  int missing;                     /* the program */
  const char *what, *directory;
  int umask, group, signal, failed, value, step;
  const char *output;
};

static const struct check checks[] = {
    {.name = "exit status", .what = "7", .value = 7, .output = ""},
    {.name = "pipes", .what = "echo", .output = "text"},
    {.name = "signal", .what = "echo", .signal = SIGKILL, .value = -SIGKILL, .output = ""},
    {.name = "step", .what = "umask", .umask = 0123, .value = 0123 & 0x7f, .output = ""},
    {.name = "group", .what = "group", .group = 65536 + 7, .value = 7, .output = ""},
    {.name = "failing execve", .missing = 1, .what = "", .failed = 1, .value = ENOENT, .step = AIOSPAWN_STEP_EXECVE},
    {.name = "failing step", .what = "7", .directory = "/nowhere", .failed = 1, .value = ENOENT, .step = AIOSPAWN_STEP_CHDIR},
};

static int check(struct aiospawn_reactor *reactor, const struct check *wanted, uint32_t flags) {
  struct draft draft = draft_of(flags, wanted->missing ? "/nowhere" : launched_program, wanted->what, wanted->directory, wanted->umask,
                                wanted->group);
  struct aiospawn_launched launched;
  struct outcome outcome = {0};
  int result = launch(reactor, &draft, &launched);
  if (result < 0) {
    fprintf(stderr, "launch: %s\n", strerror(-result));
    return 0;
  }
  if (aiospawn_watch(reactor, launched.token, 1, AIOSPAWN_WATCH_READ) < 0) return 0;
  if (wanted->signal) {
    while (!outcome.started && !(flags & AIOSPAWN_COLLECTED)) tick(reactor, &launched, &outcome, 1);
    if (aiospawn_signal(reactor, launched.token, wanted->signal, 0) < 0) return 0;
  } else {
    ssize_t written = write(aiospawn_stream(reactor, launched.token, 0), "text", 4);
    if (written != 4 && errno != EPIPE) return 0; /* it may have failed and gone */
    aiospawn_shut(reactor, launched.token, 0);
  }
  while (!is_over(&outcome)) tick(reactor, &launched, &outcome, 1);
  aiospawn_release(reactor, launched.token);
  if (outcome.failed != wanted->failed || outcome.value != wanted->value || outcome.step != wanted->step) return 0;
  return outcome.failed || (outcome.length == strlen(wanted->output) && !memcmp(outcome.output, wanted->output, outcome.length));
}

static const struct {
  const char *name;
  int suspend;
  uint32_t flags;
} variants[] = {
    {"concurrent", 0, 0},
    {"concurrent, shared table", 0, AIOSPAWN_MAY_SHARE_TABLE},
    {"collected", 0, AIOSPAWN_COLLECTED},
    {"suspended", 1, 0},
    {"suspended, collected", 1, AIOSPAWN_COLLECTED},
    {"suspended, shared table", 1, AIOSPAWN_MAY_SHARE_TABLE},
    {"memory of its own", 0, AIOSPAWN_PRIVATE_MEMORY},
    {"by the launcher", 0, AIOSPAWN_VIA_LAUNCHER},
    {"by its init", 0, AIOSPAWN_VIA_LAUNCHER | AIOSPAWN_INIT},
    {"by an init that waits", 1, AIOSPAWN_VIA_LAUNCHER | AIOSPAWN_INIT | AIOSPAWN_INIT_WAIT},
    {"forked", 0, AIOSPAWN_FORKED},
};

/* Credentials never change in shared memory; and only root may change them. Init is the launcher. */
static int is_allowed(const struct check *wanted, uint32_t flags) {
  if (flags & AIOSPAWN_INIT && !aiospawn_launcher_usable()) return 0;
  return !wanted->group || (geteuid() == 0 && flags & (AIOSPAWN_PRIVATE_MEMORY | AIOSPAWN_VIA_LAUNCHER | AIOSPAWN_FORKED));
}

static int check_each(void) {
  int wrong = 0, error;
  for (size_t v = 0; v < sizeof variants / sizeof variants[0]; v++) {
    struct aiospawn_reactor *reactor = aiospawn_reactor_open(variants[v].suspend, &error);
    for (size_t c = 0; c < sizeof checks / sizeof checks[0]; c++) {
      if (!is_allowed(&checks[c], variants[v].flags)) continue;
      int fine = check(reactor, &checks[c], variants[v].flags);
      printf("%s, %s: %s\n", variants[v].name, checks[c].name, fine ? "ok" : "WRONG");
      wrong += !fine;
    }
    aiospawn_reactor_free(reactor);
  }
  return wrong;
}

/* ---- loops in threads ---------------------------------------------------------------------------------------------- */

enum { AT_A_TIME = 16 };

static int launches_each;
static int wrong_outcomes, over; /* atomic */

struct loop {
  struct aiospawn_reactor *reactor;
  uint64_t token;                  /* atomic: one to signal and to look at from elsewhere, 0 for none */
};

static void run_some(struct loop *loop, int count, uint32_t flags) {
  struct aiospawn_launched launched[AT_A_TIME] = {0};
  struct outcome outcomes[AT_A_TIME] = {0};
  int left_table = count;
  struct draft draft = draft_of(flags, launched_program, "7", NULL, 0, 0);
  for (int i = 0; i < count; i++) {
    int result = launch(loop->reactor, &draft, &launched[i]);
    if (result < 0) {
      fprintf(stderr, "launch: %s\n", strerror(-result));
      _exit(1);
    }
    aiospawn_watch(loop->reactor, launched[i].token, 1, AIOSPAWN_WATCH_READ);
    aiospawn_shut(loop->reactor, launched[i].token, 0);
  }
  __atomic_store_n(&loop->token, launched[0].token, __ATOMIC_RELEASE);
  while (left_table) {
    tick(loop->reactor, launched, outcomes, count);
    left_table = 0;
    for (int i = 0; i < count; i++) left_table += !is_over(&outcomes[i]);
  }
  __atomic_store_n(&loop->token, 0, __ATOMIC_RELEASE);
  for (int i = 0; i < count; i++) {
    if (outcomes[i].failed || outcomes[i].value != 7) __atomic_add_fetch(&wrong_outcomes, 1, __ATOMIC_RELAXED);
    aiospawn_release(loop->reactor, launched[i].token);
  }
}

static void *run_loop(void *argument) {
  static const uint32_t flags[] = {
      0, AIOSPAWN_MAY_SHARE_TABLE, AIOSPAWN_VIA_LAUNCHER, AIOSPAWN_PRIVATE_MEMORY, AIOSPAWN_FORKED,
      AIOSPAWN_COLLECTED, AIOSPAWN_VIA_LAUNCHER | AIOSPAWN_INIT};
  const int kinds = aiospawn_launcher_usable() ? 7 : 6;
  for (int done = 0, round = 0; done < launches_each; done += AT_A_TIME)
    run_some(argument, AT_A_TIME, flags[round++ % kinds]);
  return NULL;
}

/* Signal 0, a look, a duplicate: what any thread may ask of a child of another's loop. */
static void *ask(void *argument) {
  struct loop *loop = argument;
  while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
    uint64_t token = __atomic_load_n(&loop->token, __ATOMIC_ACQUIRE);
    int status = 7;
    if (!token) continue;
    aiospawn_signal(loop->reactor, token, 0, 0);
    if (aiospawn_peek(loop->reactor, token, &status) == 1 && status != 7) {
      fprintf(stderr, "peek: %d\n", status);
      _exit(1);
    }
    int pidfd = aiospawn_dup_pidfd(loop->reactor, token);
    if (pidfd >= 0) close(pidfd);
  }
  return NULL;
}

static void *fork_and_open(void *nothing) {
  (void)nothing;
  while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    if (pid > 0) waitpid(pid, NULL, 0);
    close(open("/", O_RDONLY | O_CLOEXEC));
  }
  return NULL;
}

static int run_threads(int count) {
  struct loop *loops = calloc((size_t)count, sizeof *loops);
  pthread_t *threads = calloc((size_t)count, sizeof *threads), asking, forking;
  int error;
  for (int i = 0; i < count; i++) {
    loops[i].reactor = aiospawn_reactor_open(0, &error);
    pthread_create(&threads[i], NULL, run_loop, &loops[i]);
  }
  pthread_create(&asking, NULL, ask, &loops[0]);
  pthread_create(&forking, NULL, fork_and_open, NULL);
  for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
  __atomic_store_n(&over, 1, __ATOMIC_RELEASE);
  pthread_join(asking, NULL);
  pthread_join(forking, NULL);
  for (int i = 0; i < count; i++) aiospawn_reactor_free(loops[i].reactor);
  free(loops);
  free(threads);
  printf("%d loops, %d launches each: %d wrong\n", count, launches_each, wrong_outcomes);
  return wrong_outcomes;
}

/* ---- main ----------------------------------------------------------------------------------------------------------- */

static void tell(uint32_t found) {
  static const char *const names[] = {"concurrent clone", "shared memory", "pidfd", "clone3", "close_range", "pidfd info"};
  for (int i = 0; i < 6; i++) printf("%s %d%s", names[i], (int)(found >> i & 1), i < 5 ? ", " : "\n");
}

int main(int count, char *arguments[]) {
  const uint32_t needed = AIOSPAWN_HAS_SHARED_MEMORY | AIOSPAWN_HAS_PIDFD;
  const char *without = getenv("WITHOUT");
  if (count < 3) return 2;
  launched_program = arguments[2];
  setvbuf(stdout, NULL, _IONBF, 0);
  signal(SIGPIPE, SIG_IGN);
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  for (int i = 0; i < 700; i++) (void)!dup(2); /* from 512 on the descriptor table is shared for a moment */
  uint32_t found = aiospawn_probe(without ? (uint32_t)atoi(without) : 0);
  tell(found);
  if ((found & needed) != needed) return 0;
  aiospawn_fd_block_reserve();
  int opened = aiospawn_launcher_open(arguments[1]);
  printf("launcher: %s\n", opened == 0 && aiospawn_launcher_usable() ? "usable" : "not usable");
  if (count == 3) return check_each() != 0;
  launches_each = atoi(arguments[4]);
  return run_threads(atoi(arguments[3])) != 0;
}
