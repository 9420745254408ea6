/* Trees that do not want to end, as those of hostile.py, for tens of thousands of them: SHAPE MARKER.
 * One byte goes to the descriptor MARKER for every process that stands; all of them keep it open. */
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PACE = 20000 }; /* us for each generation of what forks without end: many such trees stand at the same time */

static int marker;

static void stand(void) {
  if (write(marker, ".", 1) != 1) _exit(1);
}

__attribute__((noreturn)) static void stay(void) {
  stand();
  for (;;) pause();
}

/* What forks without end cannot be found and killed by a test: it ends when nobody reads the marker any more. */
static int is_read(void) {
  struct pollfd watched = {.fd = marker};
  return poll(&watched, 1, 0) == 0;
}

static void plain(void) { stay(); }

static void own_session(void) {
  if (fork() == 0) setsid();
  stay();
}

static void double_fork(void) {
  if (fork() == 0) {
    setsid();
    if (fork() == 0) stay();
    _exit(0);
  }
  stay();
}

static void daemonized(void) {
  if (fork() == 0) {
    if (daemon(0, 0) == 0) stay();
    _exit(1);
  }
  wait(NULL);
  stay();
}

static void nohup(void) {
  if (fork() == 0) {
    signal(SIGHUP, SIG_IGN);
    setpgid(0, 0);
  }
  stay();
}

static void deaf(void) {
  static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGCHLD};
  for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) signal(numbers[i], SIG_IGN);
  own_session();
}

static void stopped(void) {
  if (fork() == 0) {
    setsid();
    stand();
    raise(SIGSTOP);
    for (;;) pause();
  }
  stay();
}

static void *beget(void *none) {
  if (fork() == 0) {
    setsid();
    stay();
  }
  for (;;) pause();
  return none;
}

static void *stay_in_thread(void *none) {
  stay();
  return none;
}

static void threads(void) {
  pthread_t thread;
  if (fork() == 0) {
    pthread_create(&thread, NULL, stay_in_thread, NULL);
    pthread_exit(NULL);
  }
  for (int i = 0; i < 2; i++) pthread_create(&thread, NULL, beget, NULL);
  stay();
}

static void deep(void) {
  for (int generation = 0; generation < 20; generation++) {
    if (fork() != 0) break;
    setsid();
  }
  stay();
}

static void wide(void) {
  for (int i = 0; i < 20; i++)
    if (fork() == 0) {
      setsid();
      stay();
    }
  stay();
}

static void chain(void) {
  if (fork() == 0) {
    while (is_read()) {
      if (fork() > 0) _exit(0);
      setsid();
      usleep(PACE);
    }
    _exit(0);
  }
  stay();
}

static void breeding(void) {
  for (int i = 0; i < 2; i++)
    if (fork() == 0) {
      while (is_read()) {
        if (fork() == 0) {
          setsid();
          if (fork() == 0) usleep(10000);
          _exit(0);
        }
        waitpid(-1, NULL, WNOHANG);
        usleep(PACE);
      }
      _exit(0);
    }
  stay();
}

static const struct {
  const char *name;
  void (*grow)(void);
} shapes[] = {
    {"plain", plain}, {"setsid", own_session}, {"double_fork", double_fork}, {"daemon", daemonized}, {"nohup", nohup}, {"deaf", deaf},
    {"stopped", stopped}, {"threads", threads}, {"deep", deep}, {"wide", wide}, {"chain", chain}, {"breeding", breeding},
};

int main(int count, char **arguments) {
  if (count != 3) return 2;
  marker = atoi(arguments[2]);
  for (unsigned i = 0; i < sizeof shapes / sizeof *shapes; i++)
    if (strcmp(shapes[i].name, arguments[1]) == 0) shapes[i].grow();
  return 2;
}
