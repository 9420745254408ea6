#include "reactor.h"

#include <fcntl.h>
#include <unistd.h>

static struct aiospawn_reactor *reactors;

void reactors_add(struct aiospawn_reactor *reactor) {
  reactor->next = reactors;
  reactors = reactor;
}

void reactors_remove(struct aiospawn_reactor *reactor) {
  struct aiospawn_reactor **link = &reactors;
  while (*link != reactor) link = &(*link)->next;
  *link = reactor->next;
}

void reactors_after_fork(void) {
  int placeholder = reactors ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
  for (struct aiospawn_reactor *reactor = reactors; reactor; reactor = reactor->next) {
    if (reactor->dead) continue;
    int forked = reactor->prepared && pthread_equal(reactor->forker, pthread_self()); /* this is the child of that */
    reactor->dead = 1;
    close(reactor->epoll);
    lease_after_fork(&reactor->lease);
    children_close_copies(&reactor->children, forked ? reactor->prepared : NULL, placeholder);
    for (int i = 0; i < 2 && !forked; i++)
      if (reactor->gate[i] >= 0) close(reactor->gate[i]);
  }
  if (placeholder >= 0) close(placeholder);
}
