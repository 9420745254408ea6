/* The yardstick of `aiospawn bench`: what one thread of C can do, with nothing round it.
 *
 *     limit MODE [-n COUNT] [-t SECONDS] [-w WINDOW] [-b MIB] [-r MIB] [-d DESCRIPTORS] [-l LIVE] [-g GATE] [-p]
 *           PROGRAM [ARGUMENT...]
 *
 * Modes that launch PROGRAM up to COUNT times, WINDOW at a time, and for no longer than SECONDS:
 *   clone        the limit: a clone that shares the parent's memory and descriptor table and does not suspend it; exits come
 *                through pidfds and epoll. With -p each child has a pipe for its output, hence a table of its own.
 *   fork, vfork  and execve
 *   posix_spawn  of libc
 *   system, popen  of libc, one at a time, as they are
 * Modes that move COUNT bytes from or to PROGRAM: read, write.
 *
 * -b memory of the parent that is in use, in pages of 4 KiB; -r memory that it only has; -d descriptors open in it; -l children that are alive meanwhile,
 * running GATE, which waits for the end of its standard input.
 *
 * Prints one JSON object. Exit status 1 where anything goes wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1U << 1)
#endif
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

enum { STACK = 64 << 10, BUFFER = 256 << 10, BATCH = 128 };

extern char **environ;

struct child {
  pid_t pid;
  int pidfd;
  int input;   /* what becomes its standard input, or -1 */
  int output;  /* the reading end, or -1 */
  int writer;  /* the writing end until the launch is made, or -1 */
  bool exited;
  char *stack;
  char **arguments;
};

static long count = 1000;
static double seconds = 1e9;
static int window = 1, live;
static size_t ballast, reserved;
static long descriptors;
static const char *gate;
static bool piped;
static char **arguments;
static char buffer[BUFFER];
static int epoll;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static double clock_of(clockid_t id) {
  struct timespec now;
  clock_gettime(id, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double children_cpu(void) {
  struct rusage usage;
  getrusage(RUSAGE_CHILDREN, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

static double resident_kib(void) {
  long pages = 0, resident = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (!file || fscanf(file, "%ld %ld", &pages, &resident) != 2) die("/proc/self/statm");
  fclose(file);
  return (double)(resident * (sysconf(_SC_PAGESIZE) >> 10));
}

static int ascending(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

/* ---- one child ------------------------------------------------------------------------------------------------------ */

/* On the parent's memory, with its thread-local storage: nothing but system calls that succeed, or the end. */
static int cloned(void *argument) {
  struct child *child = argument;
  if (child->writer < 0) {
    syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_UNSHARE);
  } else {
    if (child->input >= 0) dup2(child->input, 0);
    dup2(child->writer, 1);
  }
  execve(child->arguments[0], child->arguments, environ);
  _exit(127);
}

static void prepare(struct child *child) {
  child->stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (child->stack == MAP_FAILED) die("mmap");
  child->pidfd = child->output = child->writer = child->input = -1;
}

static void start(struct child *child, bool with_pipe) {
  if (with_pipe) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC)) die("pipe2");
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    child->output = ends[0];
    child->writer = ends[1];
  }
  child->exited = false;
  int flags = CLONE_VM | CLONE_PIDFD | SIGCHLD | (with_pipe ? 0 : CLONE_FILES);
  child->pid = clone(cloned, child->stack + STACK, flags, child, &child->pidfd);
  if (child->pid < 0) die("clone");
  if (with_pipe) {
    /* The child has a table of its own since the clone. */
    close(child->writer);
  }
}

static void expect_success(const siginfo_t *info) {
  if (info->si_code != CLD_EXITED || info->si_status != 0) {
    fprintf(stderr, "a child failed: code %d, status %d\n", info->si_code, info->si_status);
    exit(1);
  }
}

/* True if it has exited and its output has ended. */
static bool over(struct child *child) {
  return child->exited && child->output < 0;
}

/* A child that is on its way holds copies of descriptors: an entry whose descriptor is only closed would live on with them. */
static void forget(int descriptor) {
  if (epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, NULL)) die("epoll_ctl");
  close(descriptor);
}

static void reap(struct child *child) {
  siginfo_t info;
  if (waitid((idtype_t)P_PIDFD, (id_t)child->pidfd, &info, WEXITED)) die("waitid");
  expect_success(&info);
  forget(child->pidfd);
  child->exited = true;
}

static void drain(struct child *child) {
  ssize_t got;
  while ((got = read(child->output, buffer, sizeof buffer)) > 0) {
  }
  if (got < 0 && errno != EAGAIN) die("read");
  if (got == 0) {
    forget(child->output);
    child->output = -1;
  }
}

/* ---- many of them --------------------------------------------------------------------------------------------------- */

struct figures {
  long launched;
  bool cut;
  double elapsed, cpu;
  double *slices;
};

static void watch(int descriptor, unsigned long which) {
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = which};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event)) die("epoll_ctl");
}

static bool may_launch(struct figures *figures, double deadline) {
  if (figures->launched >= count || figures->cut) return false;
  figures->cut = figures->launched && clock_of(CLOCK_MONOTONIC) > deadline;
  return !figures->cut;
}

static void launch_cloned(struct figures *figures, double deadline) {
  epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) die("epoll_create1");
  struct child *children = calloc((size_t)window, sizeof *children), **idle = calloc((size_t)window, sizeof(void *));
  int idlers = window;
  for (int each = 0; each < window; each++) {
    prepare(&children[each]);
    children[each].arguments = arguments;
    idle[each] = &children[each];
  }
  for (;;) {
    while (idlers && may_launch(figures, deadline)) {
      struct child *child = idle[--idlers];
      double before = clock_of(CLOCK_MONOTONIC);
      start(child, piped);
      unsigned long index = (unsigned long)(child - children);
      watch(child->pidfd, index << 1);
      if (piped) watch(child->output, index << 1 | 1);
      figures->slices[figures->launched++] = clock_of(CLOCK_MONOTONIC) - before;
    }
    if (idlers == window) break;
    struct epoll_event ready[BATCH];
    int events = epoll_wait(epoll, ready, BATCH, -1);
    for (int each = 0; each < events; each++) {
      struct child *child = &children[ready[each].data.u64 >> 1];
      if (ready[each].data.u64 & 1)
        drain(child);
      else
        reap(child);
      if (over(child)) idle[idlers++] = child;
    }
  }
}

static pid_t spawned(const char *mode) {
  pid_t pid;
  if (*mode == 'p') {
    errno = posix_spawn(&pid, arguments[0], NULL, NULL, arguments, environ);
    return errno ? -1 : pid;
  }
  pid = *mode == 'v' ? vfork() : fork();
  if (!pid) {
    execve(arguments[0], arguments, environ);
    _exit(127);
  }
  return pid;
}

static void launch_waited(struct figures *figures, double deadline, const char *mode) {
  for (int running = 0;;) {
    while (running < window && may_launch(figures, deadline)) {
      double before = clock_of(CLOCK_MONOTONIC);
      if (spawned(mode) < 0) die(mode);
      figures->slices[figures->launched++] = clock_of(CLOCK_MONOTONIC) - before;
      running++;
    }
    if (!running) break;
    siginfo_t info;
    if (waitid(P_ALL, 0, &info, WEXITED)) die("waitid");
    expect_success(&info);
    running--;
  }
}

static void launch_by_shell(struct figures *figures, double deadline, bool reading) {
  while (may_launch(figures, deadline)) {
    double before = clock_of(CLOCK_MONOTONIC);
    int status;
    if (reading) {
      FILE *output = popen(arguments[0], "r");
      if (!output) die("popen");
      while (fread(buffer, 1, sizeof buffer, output) > 0) {
      }
      status = pclose(output);
    } else {
      status = system(arguments[0]);
    }
    if (status) {
      fprintf(stderr, "a child failed: status %d, %s\n", status, strerror(errno));
      exit(1);
    }
    figures->slices[figures->launched++] = clock_of(CLOCK_MONOTONIC) - before;
  }
}

/* ---- children that are alive meanwhile ------------------------------------------------------------------------------ */

struct crowd {
  struct child *members;
  double launch_seconds, kib_each;
};

static struct crowd assembled(void) {
  struct crowd crowd = {.members = calloc((size_t)live + 1, sizeof *crowd.members)};
  static char *gates[2];
  gates[0] = (char *)gate;
  int input[2];
  if (pipe2(input, O_CLOEXEC)) die("pipe2");
  /* A stack is free when its child has executed; there is one for each, since nothing reports when that is. */
  for (int each = 0; each < live; each++) prepare(&crowd.members[each]);
  double before = clock_of(CLOCK_MONOTONIC), resident = resident_kib();
  for (int each = 0; each < live; each++) {
    crowd.members[each].arguments = gates;
    crowd.members[each].input = input[0];
    start(&crowd.members[each], true);
  }
  crowd.launch_seconds = clock_of(CLOCK_MONOTONIC) - before;
  crowd.kib_each = live ? (resident_kib() - resident) / live : 0;
  return crowd;
}

static void dismiss(struct crowd *crowd, double *signal_seconds, double *reap_seconds) {
  double before = clock_of(CLOCK_MONOTONIC);
  for (int each = 0; each < live; each++)
    if (syscall(SYS_pidfd_send_signal, crowd->members[each].pidfd, SIGTERM, NULL, 0)) die("pidfd_send_signal");
  *signal_seconds = clock_of(CLOCK_MONOTONIC) - before;
  before = clock_of(CLOCK_MONOTONIC);
  for (int each = 0; each < live; each++) {
    siginfo_t info;
    if (waitid((idtype_t)P_PIDFD, (id_t)crowd->members[each].pidfd, &info, WEXITED)) die("waitid");
  }
  *reap_seconds = clock_of(CLOCK_MONOTONIC) - before;
}

/* ---- the modes ------------------------------------------------------------------------------------------------------ */

static void launches(const char *mode) {
  if (ballast) {
    char *memory = mmap(NULL, ballast, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) die("mmap of the ballast");
    madvise(memory, ballast, MADV_NOHUGEPAGE);
    memset(memory, 1, ballast);
  }
  if (reserved && mmap(NULL, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
    die("mmap of what is reserved");
  for (long each = 0; each < descriptors; each++)
    if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0) die("open");
  struct figures figures = {.slices = calloc((size_t)count, sizeof(double))};
  struct crowd crowd = assembled();
  double cpu = clock_of(CLOCK_THREAD_CPUTIME_ID), childrens = children_cpu(), before = clock_of(CLOCK_MONOTONIC);
  double deadline = before + seconds;
  if (!strcmp(mode, "clone"))
    launch_cloned(&figures, deadline);
  else if (!strcmp(mode, "system") || !strcmp(mode, "popen"))
    launch_by_shell(&figures, deadline, *mode == 'p');
  else
    launch_waited(&figures, deadline, mode);
  double elapsed = clock_of(CLOCK_MONOTONIC) - before;
  cpu = clock_of(CLOCK_THREAD_CPUTIME_ID) - cpu;
  childrens = children_cpu() - childrens;
  double signal_seconds, reap_seconds;
  dismiss(&crowd, &signal_seconds, &reap_seconds);
  double launched = figures.launched ? (double)figures.launched : 1;
  qsort(figures.slices, (size_t)figures.launched, sizeof(double), ascending);
  printf("{\"launched\": %ld, \"seconds\": %.6f, \"cut\": %s, \"per_s\": %.2f, \"mean_us\": %.3f, \"slice_us\": %.3f, "
         "\"loop_cpu_us\": %.3f, \"children_cpu_us\": %.3f, \"live_launch_s\": %.6f, \"live_kib_each\": %.3f, "
         "\"live_signal_s\": %.6f, \"live_reap_s\": %.6f}\n",
         figures.launched, elapsed, figures.cut ? "true" : "false", launched / elapsed, elapsed / launched * 1e6,
         figures.slices[figures.launched / 2] * 1e6, cpu / launched * 1e6, childrens / launched * 1e6, crowd.launch_seconds,
         crowd.kib_each, signal_seconds, reap_seconds);
}

static void moves(bool reading) {
  int ends[2], childs = reading ? 1 : 0;
  if (pipe2(ends, O_CLOEXEC)) die("pipe2");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[childs], childs);
  double cpu = clock_of(CLOCK_THREAD_CPUTIME_ID), before = clock_of(CLOCK_MONOTONIC);
  pid_t pid;
  if ((errno = posix_spawn(&pid, arguments[0], &actions, NULL, arguments, environ))) die("posix_spawn");
  close(ends[childs]);
  long moved = 0;
  while (moved < count) {
    size_t block = (size_t)(count - moved) < sizeof buffer ? (size_t)(count - moved) : sizeof buffer;
    ssize_t now = reading ? read(ends[0], buffer, block) : write(ends[1], buffer, block);
    if (now <= 0) die(reading ? "read" : "write");
    moved += now;
  }
  close(ends[1 - childs]);
  siginfo_t info;
  if (waitid(P_PID, (id_t)pid, &info, WEXITED)) die("waitid");
  expect_success(&info);
  double elapsed = clock_of(CLOCK_MONOTONIC) - before, mib = (double)moved / (1 << 20);
  cpu = clock_of(CLOCK_THREAD_CPUTIME_ID) - cpu;
  printf("{\"bytes\": %ld, \"seconds\": %.6f, \"mib_per_s\": %.2f, \"loop_cpu_us\": %.3f}\n", moved, elapsed, mib / elapsed,
         cpu / mib * 1e6);
}

int main(int argc, char **argv) {
  static const char *const modes[] = {"clone", "fork", "vfork", "posix_spawn", "system", "popen", "read", "write"};
  const char *mode = NULL;
  for (size_t each = 0; argc > 1 && each < sizeof modes / sizeof *modes; each++)
    if (!strcmp(argv[1], modes[each])) mode = modes[each];
  int option;
  while (mode && (option = getopt(argc - 1, argv + 1, "+n:t:w:b:r:d:l:g:p")) != -1) {
    switch (option) {
      case 'n': count = atol(optarg); break;
      case 't': seconds = atof(optarg); break;
      case 'w': window = atoi(optarg); break;
      case 'b': ballast = (size_t)atol(optarg) << 20; break;
      case 'r': reserved = (size_t)atol(optarg) << 20; break;
      case 'd': descriptors = atol(optarg); break;
      case 'l': live = atoi(optarg); break;
      case 'g': gate = optarg; break;
      case 'p': piped = true; break;
      default: mode = NULL;
    }
  }
  arguments = argv + 1 + optind;
  if (!mode || count < 1 || window < 1 || (live && !gate) || !*arguments) {
    fprintf(stderr, "usage: limit MODE [-n COUNT] [-t SECONDS] [-w WINDOW] [-b MIB] [-r MIB] [-d DESCRIPTORS] [-l LIVE] "
                    "[-g GATE] [-p] PROGRAM [ARGUMENT...]\n");
    return 2;
  }
  if (!strcmp(mode, "read") || !strcmp(mode, "write"))
    moves(*mode == 'r');
  else
    launches(mode);
  return 0;
}
