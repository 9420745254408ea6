/* A clone that fails when the kernel has handed out the pidfd's number already, as at the limit of a pids cgroup. Meanwhile
 * another thread was given that number. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aiospawn.h"
#include "child/clone.h"

static int taken;

long child_clone(const struct clone_plan *plan, void (*run)(void *), void *argument) {
  (void)run, (void)argument;
  *plan->pidfd = taken = open("/dev/null", O_RDONLY);
  return -EAGAIN;
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
  struct aiospawn_reactor *reactor = aiospawn_reactor_open(0, &error);
  size_t size = offsetof(__typeof__(request), strings) + sizeof request.strings;
  int result = aiospawn_launch(reactor, (const unsigned char *)&request, size, &launched);
  printf("%s, the other's descriptor %s\n", strerror(-result), fcntl(taken, F_GETFD) == -1 ? "is closed" : "is open");
  aiospawn_reactor_free(reactor);
  return 0;
}
