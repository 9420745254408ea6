/* Another thread forks at the moments when a reactor's descriptors come and go. The fork's child must hold none of them, and
 * must not have closed what got the number of one. Each moment is a call of the native part, which comes through here. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "aiospawn.h"

enum { MOMENTS = 8, NUMBERS = 64 };

static struct moment {
  pthread_t thread;
  const char *name;
  int has_theirs, held, theirs_is_open;
} moments[MOMENTS];
static int moment_count, theirs = -1, watched = -1;
static pid_t parent;

static void *fork_here(void *argument) {
  struct moment *moment = argument;
  int held = 0, status;
  pid_t pid = fork();
  if (pid == 0) {
    for (int number = 3; number < NUMBERS; number++)
      held += number != theirs && fcntl(number, F_GETFD) != -1;
    _exit(held << 1 | (theirs >= 0 && fcntl(theirs, F_GETFD) != -1));
  }
  if (pid == -1 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) abort();
  moment->held = WEXITSTATUS(status) >> 1;
  moment->theirs_is_open = moment->has_theirs && WEXITSTATUS(status) & 1;
  return NULL;
}

/* A fork that has to wait for a lock of this thread's comes when it gets it, or later, where the machine is busy. */
static void fork_beside(const char *name) {
  struct moment *moment = &moments[moment_count++];
  moment->name = name;
  moment->has_theirs = theirs >= 0;
  if (pthread_create(&moment->thread, NULL, fork_here, moment) != 0) abort();
  struct timespec soon;
  clock_gettime(CLOCK_REALTIME, &soon);
  soon.tv_nsec += 200 * 1000 * 1000;
  soon.tv_sec += soon.tv_nsec / 1000000000;
  soon.tv_nsec %= 1000000000;
  if (pthread_timedjoin_np(moment->thread, NULL, &soon) == 0) moment->thread = pthread_self();
}

int epoll_create1(int flags) {
  int epoll = (int)syscall(SYS_epoll_create1, flags);
  fork_beside("opened");
  return epoll;
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event) {
  if (operation == EPOLL_CTL_DEL) fork_beside("a descriptor of a child's is closed");
  return (int)syscall(SYS_epoll_ctl, epoll, operation, fd, event);
}

int close(int fd) {
  int result = (int)syscall(SYS_close, fd);
  if (fd != watched || getpid() != parent) return result;
  theirs = open("/dev/null", O_RDONLY);
  if (theirs != watched) abort();
  fork_beside("closed");
  return result;
}

int main(void) {
  struct {
    struct aiospawn_request head;
    char strings[sizeof "/bin/true\0true"];
  } request = {.strings = "/bin/true\0true"};
  request.head = (struct aiospawn_request){
      .version = AIOSPAWN_REQUEST_VERSION, .candidates = 1, .arguments = 1, .top = -1, .program = AIOSPAWN_NO_FD};
  struct aiospawn_launched launched;
  int error;
  parent = getpid();
  struct aiospawn_reactor *reactor = aiospawn_reactor_open(0, &error);
  size_t size = offsetof(__typeof__(request), strings) + sizeof request.strings;
  if (!reactor || aiospawn_launch(reactor, (const unsigned char *)&request, size, &launched) < 0) return 1;
  watched = aiospawn_reactor_epoll(reactor);
  siginfo_t info;
  if (waitid(P_PID, (id_t)launched.pid, &info, WEXITED | WNOWAIT) == -1) return 1;
  aiospawn_reactor_free(reactor); /* which reaps the child */
  for (int i = 0; i < moment_count; i++) {
    if (!pthread_equal(moments[i].thread, pthread_self())) pthread_join(moments[i].thread, NULL);
    printf("%s: %d held%s\n", moments[i].name, moments[i].held, moments[i].theirs_is_open ? ", theirs is open" : "");
  }
  return waitpid(launched.pid, &error, 0) != -1;
}
