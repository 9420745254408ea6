/* A reactor is closed while its children are on their way, with so many descriptors that they share the table for a moment. Then
 * more are launched at a time than there is memory kept for, so that memory which those have left is used anew, and freed.
 * For the sanitizer for addresses: what watches the first ones must not look there any more. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "aiospawn.h"

enum { FEW = 25, MANY = 100 };

static struct {
  struct aiospawn_request head;
  struct aiospawn_step close;
  char strings[sizeof "/bin/true\0true"];
} request = {
    .head = {.version = AIOSPAWN_REQUEST_VERSION, .flags = AIOSPAWN_MAY_SHARE_TABLE, .steps = 1, .inherits = 7, .top = -1,
             .program = AIOSPAWN_NO_FD, .candidates = 1, .arguments = 1},
    .close = {.kind = AIOSPAWN_STEP_CLOSE, .fd = 3, .value = INT32_MAX},
    .strings = "/bin/true\0true",
};

static int launch(struct aiospawn_reactor *reactor, int count) {
  struct aiospawn_launched launched;
  size_t size = offsetof(__typeof__(request), strings) + sizeof request.strings;
  int done = 0;
  while (done < count && aiospawn_launch(reactor, (const unsigned char *)&request, size, &launched) == 0) done++;
  return done;
}

static int ends(struct aiospawn_reactor *reactor, int count) {
  int ended = 0;
  for (int tries = 0; ended < count && tries < 10000; tries++) {
    int events = aiospawn_poll(reactor);
    for (int i = 0; i < events; i++) ended += aiospawn_reactor_batch(reactor)->events[i].kind == AIOSPAWN_EXITED;
    usleep(1000);
  }
  return ended;
}

int main(void) {
  struct rlimit limit;
  int error, wrong = 0;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  for (int i = 0; i < 700; i++) (void)!dup(2);
  aiospawn_probe(0);
  for (int round = 0; round < 3; round++) {
    struct aiospawn_reactor *reactor = aiospawn_reactor_open(0, &error);
    wrong += launch(reactor, FEW) != FEW;
    aiospawn_reactor_free(reactor);
    reactor = aiospawn_reactor_open(0, &error);
    wrong += launch(reactor, MANY) != MANY || ends(reactor, MANY) != MANY;
    wrong += launch(reactor, MANY) != MANY || ends(reactor, MANY) != MANY;
    aiospawn_reactor_free(reactor);
  }
  printf("%d wrong\n", wrong);
  return 0;
}
