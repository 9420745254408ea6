/* The processes below init. Compiled like child.c: raw system calls only.
 *
 * A process that nobody but init can reap keeps its number, so its children are signalled by theirs. A process that is further down may
 * be reaped by its parent, and its number become a stranger's, between a look and a signal: it is held by a pidfd first, then
 * looked at once more. */
#include "tree.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>

#include "child/sys.h"

enum { NOT_PERMITTED = -1 /* EPERM */, OTHER_NAMESPACE = -18 /* EXDEV */, READ = 1, WRITE = 2, ITS_OWN = 2, NO_FILE = 0x20, UNRESERVED = 0x4000 };
enum { MOST = 1 << 22 /* the kernel's most process ids */, FEWEST = 1 << 10 };
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

/* Somebody below init, and its parent. */
typedef void visitor(struct tree *tree, int pid, int parent, void *argument);

/* Its numbers are those of the PID namespace in which it was mounted: elsewhere they would mean strangers. An error also where
 * it is not mounted, or is no procfs. */
static long number_in_proc(const struct tree *tree) {
  char name[16] = {0};
  long length = sys4(SYS_readlinkat, tree->proc, (long)"self", (long)name, sizeof name - 1);
  if (length < 0) return length;
  long number = 0;
  for (const char *digit = name; *digit >= '0' && *digit <= '9'; digit++) number = number * 10 + (*digit - '0');
  return number;
}

long tree_open(struct tree *tree) {
  tree->self = (int)sys0(SYS_getpid);
  tree->queue = NULL;
  tree->room = 0;
  tree->proc = (int)sys4(SYS_openat, AT_FDCWD, (long)"/proc", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  long number = tree->proc < 0 ? tree->proc : number_in_proc(tree);
  if (!tree->is_namespace) return number < 0 ? number : number == tree->self ? 0 : OTHER_NAMESPACE;
  if (number > 0) tree->self = (int)number;
  else tree->proc = -1;
  return 0;
}

/* ---- paths --------------------------------------------------------------------------------------------------------- */

static char *append_text(char *to, const char *text) {
  while (*text) *to++ = *text++;
  *to = 0;
  return to;
}

static char *append_number(char *to, int number) {
  char digits[12];
  int count = 0;
  do digits[count++] = (char)('0' + number % 10);
  while (number /= 10);
  while (count) *to++ = digits[--count];
  *to = 0;
  return to;
}

long tree_read(const struct tree *tree, int pid, const char *file, char *text, uint64_t size) {
  char path[32];
  append_text(append_number(path, pid), file);
  long fd = sys4(SYS_openat, tree->proc, (long)path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return fd;
  long length = sys3(SYS_read, fd, (long)text, (long)size - 1);
  sys1(SYS_close, fd);
  text[length < 0 ? 0 : length] = 0;
  return length;
}

/* ---- a process's parent ---------------------------------------------------------------------------------------------- */

/* "number (name) state parent", and the name may hold anything. -1: it is gone. */
static int parent_of(const struct tree *tree, int pid) {
  char line[512] = {0};
  long length = tree_read(tree, pid, "/stat", line, sizeof line), at = 0;
  if (length <= 0) return -1;
  for (long i = 0; i < length; i++)
    if (line[i] == ')') at = i;
  int parent = 0;
  for (int spaces = 0; spaces < 2 && line[at]; at++) spaces += line[at] == ' ';
  for (; line[at] >= '0' && line[at] <= '9'; at++) parent = parent * 10 + (line[at] - '0');
  return parent;
}

/* ---- its children ------------------------------------------------------------------------------------------------------ */

/* The numbers of a file, with anything between them. */
static void visit_numbers(struct tree *tree, const char *path, int parent, visitor *visit, void *argument) {
  char text[2048] = {0};
  long length;
  int number = 0;
  long fd = sys4(SYS_openat, tree->proc, (long)path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return;
  while ((length = sys3(SYS_read, fd, (long)text, sizeof text)) > 0) {
    for (long i = 0; i < length; i++) {
      if (text[i] >= '0' && text[i] <= '9') {
        number = number * 10 + (text[i] - '0');
      } else {
        if (number) visit(tree, number, parent, argument);
        number = 0;
      }
    }
  }
  if (number) visit(tree, number, parent, argument);
  sys1(SYS_close, fd);
}

/* The entries of a directory that are numbers. */
static void visit_entries(struct tree *tree, const char *path, int parent, visitor *visit, void *argument) {
  struct {
    uint64_t inode;
    int64_t offset;
    unsigned short length;
    unsigned char type;
    char name[];
  } *entry;
  char listing[2048] __attribute__((aligned(8))) = {0};
  long length, directory = sys4(SYS_openat, tree->proc, (long)path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  if (directory < 0) return;
  while ((length = sys3(SYS_getdents64, directory, (long)listing, sizeof listing)) > 0) {
    for (long at = 0; at < length; at += entry->length) {
      entry = (void *)(listing + at);
      int number = 0;
      for (const char *digit = entry->name; *digit >= '0' && *digit <= '9'; digit++) number = number * 10 + (*digit - '0');
      if (number) visit(tree, number, parent, argument);
    }
  }
  sys1(SYS_close, directory);
}

struct call {
  visitor *visit;
  void *argument;
};

static void visit_threads_children(struct tree *tree, int thread, int process, void *argument) {
  const struct call *call = argument;
  char path[64];
  append_text(append_number(append_text(append_number(path, process), "/task/"), thread), "/children");
  visit_numbers(tree, path, process, call->visit, call->argument);
}

static void visit_children(struct tree *tree, int process, visitor *visit, void *argument) {
  char path[32];
  struct call call = {visit, argument};
  if (process == tree->self) {
    visit_threads_children(tree, process, process, &call);
  } else {
    append_text(append_number(path, process), "/task");
    visit_entries(tree, path, process, visit_threads_children, &call);
  }
}

/* ---- signals --------------------------------------------------------------------------------------------------------- */

struct sending {
  int signal, group;
  struct found *found;
  uint32_t queued;
  int64_t most;                    /* no more are looked for when more are found; 0: all are */
};

static void sent(const struct sending *sending, int pid, long result) {
  struct found *found = sending->found;
  if (result == NOT_PERMITTED) {
    found->refused++;
    found->refusing = pid;
  }
  if (result < 0) return;
  found->count++;
  found->hash += (uint64_t)pid * 0x9E3779B97F4A7C15u;
}

/* Is the number still that of the process that was seen, or another's below init? One that lost its parent is init's child now. */
static int is_below(const struct tree *tree, int pid, int parent) {
  int now = parent_of(tree, pid);
  return now == parent || now == tree->self;
}

static long signal_member(const struct tree *tree, int pid, int parent, int signal) {
  enum { NO_SUCH = -3 /* ESRCH */ };
  if (parent == tree->self) return sys2(SYS_kill, pid, signal);
  long pidfd = sys2(SYS_pidfd_open, pid, 0);
  if (pidfd < 0) return pidfd;
  long result = is_below(tree, pid, parent) ? sys4(SYS_pidfd_send_signal, pidfd, signal, 0, 0) : NO_SUCH;
  sys1(SYS_close, pidfd);
  return result;
}

static void signal_and_queue(struct tree *tree, int pid, int parent, void *argument) {
  struct sending *sending = argument;
  int is_meant = sending->signal && (!sending->group || sys1(SYS_getpgid, pid) == sending->group);
  if (is_meant) sent(sending, pid, signal_member(tree, pid, parent, sending->signal));
  if (sending->queued < tree->room) tree->queue[sending->queued++] = (struct member){pid, parent};
}

/* Address space, of which only what is written to is memory; less of it where that is limited. */
static void queue_open(struct tree *tree) {
  for (uint32_t room = MOST; !tree->queue && room >= FEWEST; room /= 16) {
    long memory = sys6(SYS_mmap, 0, (long)(room * sizeof *tree->queue), READ | WRITE, ITS_OWN | NO_FILE | UNRESERVED, -1, 0);
    if (memory < 0 && memory > -4096) continue;
    tree->queue = (struct member *)memory;
    tree->room = room;
  }
}

static int has_enough(const struct sending *sending) { return sending->most && sending->queued > sending->most; }

static int is_queued(const struct tree *tree, const struct sending *sending, int pid) {
  for (uint32_t i = sending->queued; i-- > 0;)
    if (tree->queue[i].pid == pid) return 1;
  return 0;
}

/* One of all processes: those below init are found by their parents, that were found before. */
static void queue_if_below(struct tree *tree, int pid, int none, void *argument) {
  struct sending *sending = argument;
  (void)none;
  if (has_enough(sending) || is_queued(tree, sending, pid)) return;
  int parent = parent_of(tree, pid);
  if (parent == tree->self || (parent > 0 && is_queued(tree, sending, parent))) signal_and_queue(tree, pid, parent, sending);
}

/* Where the kernel lists no children: again until nobody is found any more, for a child may have a lower number. */
static void go_through_all(struct tree *tree, struct sending *sending) {
  uint32_t before;
  do {
    before = sending->queued;
    visit_entries(tree, ".", 0, queue_if_below, sending);
  } while (sending->queued != before && !has_enough(sending));
}

static void go_through(struct tree *tree, struct sending *sending) {
  if (!tree->queue) queue_open(tree);
  if (!tree->lists_children) {
    go_through_all(tree, sending);
    return;
  }
  visit_children(tree, tree->self, signal_and_queue, sending);
  for (uint32_t next = 0; next < sending->queued && !has_enough(sending); next++)
    visit_children(tree, tree->queue[next].pid, signal_and_queue, sending);
}

/* Of a PID namespace: everybody but process 1, by one call that no fork escapes (the kernel goes through all with its list of
 * processes locked, and a fork that meets a fatal signal does not happen). */
static void signal_namespace(int signal, int group) { sys2(SYS_kill, group ? -group : -1, signal); }

void tree_signal(struct tree *tree, int signal, int group, struct found *found) {
  struct sending sending = {.signal = signal, .group = group, .found = found};
  if (tree->is_namespace) {
    signal_namespace(signal, group);
    return;
  }
  go_through(tree, &sending);
}

uint32_t tree_list(struct tree *tree, int64_t most) {
  struct found found = {0};
  struct sending sending = {.found = &found, .most = most};
  go_through(tree, &sending);
  return sending.queued;
}

void tree_kill_group(int leader) {
  if (sys1(SYS_getpgid, leader) == leader) sys2(SYS_kill, -leader, SIGKILL);
}

/* Without memory for the queue the children alone are killed at once, and theirs when they are init's. */
void tree_kill(struct tree *tree, struct found *found) {
  struct sending sending = {.found = found};
  if (tree->is_namespace) {
    signal_namespace(SIGKILL, 0);
    return;
  }
  if (!tree->queue) queue_open(tree);
  sending.signal = tree->queue ? 0 : SIGKILL;
  go_through(tree, &sending);
  for (uint32_t next = sending.queued; next-- > 0;) {
    const struct member *member = &tree->queue[next];
    sent(&sending, member->pid, signal_member(tree, member->pid, member->parent, SIGKILL));
  }
}
