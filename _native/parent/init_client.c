#include "init_client.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "aiospawn.h"
#include "child/sys.h"
#include "descriptor.h"
#include "launcher/init.h"
#include "state_lock.h"

_Static_assert(sizeof(struct usage) <= sizeof((struct init_report *)0)->usage, "as init has it");

enum { LAST_SIGNAL = 64 };

/* ---- the request ----------------------------------------------------------------------------------------------------- */

static int send_request(const struct child *child, struct iovec *parts, int count, int file) {
  int files[INIT_FILES], passing = 0;
  union {
    struct cmsghdr header;
    unsigned char bytes[CMSG_SPACE(sizeof files)];
  } passed = {.header = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = (size_t)count};
  if (child->lease >= 0) files[passing++] = child->lease;
  if (file >= 0) files[passing++] = file;
  if (passing) {
    size_t size = (size_t)passing * sizeof *files;
    passed.header.cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(&passed.header), files, size);
    message.msg_control = &passed;
    message.msg_controllen = CMSG_SPACE(size);
  }
  int fd = child->watched[WATCHED_INIT].fd;
  return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == -1 ? -errno : 0;
}

int init_client_open(struct child *child, struct iovec *parts, int count, int file, int32_t *child_end) {
  int ends[2], error = 0;
  struct watched_fd *parent_end = &child->watched[WATCHED_INIT];
  state_lock(); /* so that a fork finds both ends in the table */
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == -1) {
    error = -errno;
  } else {
    parent_end->fd = ends[0];
    *child_end = ends[1];
    int first = descriptor_lift(&parent_end->fd, 3), second = descriptor_lift_end(child_end, &child->stack->launch);
    error = first < 0 ? first : second;
  }
  state_unlock();
  return error < 0 ? error : send_request(child, parts, count, file);
}

/* ---- orders ---------------------------------------------------------------------------------------------------------- */

/* Somebody may have stopped init, which goes on then. */
static void wake(const struct child *child) {
  sys4(SYS_pidfd_send_signal, child->watched[WATCHED_PIDFD].fd, SIGCONT, 0, 0);
}

static long give_order(const struct child *child, enum init_order_kind kind, int signal) {
  struct init_order order = {.kind = kind, .signal = signal};
  if (child->reaped || child->watched[WATCHED_INIT].fd < 0) return -ESRCH;
  if (kind == INIT_ORDER_KILL) wake(child);
  if (send(child->watched[WATCHED_INIT].fd, &order, sizeof order, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return 0;
  /* Its other side is closed when init exits, a moment before it can be reaped. */
  return errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN ? -ESRCH : -errno;
}

long init_client_signal(struct child *child, int signal, int group) {
  if (signal < 0 || signal > LAST_SIGNAL) return -EINVAL;
  if (signal == SIGKILL) return give_order(child, INIT_ORDER_KILL, 0);
  if (signal) return give_order(child, group ? INIT_ORDER_GROUP : INIT_ORDER_SIGNAL, signal);
  return child->reaped ? -ESRCH : sys4(SYS_pidfd_send_signal, child->watched[WATCHED_PIDFD].fd, 0, 0, 0);
}

long init_client_signal_tree(const struct child *child, int signal) {
  if (signal < 0 || signal > LAST_SIGNAL) return -EINVAL;
  return give_order(child, signal == SIGKILL ? INIT_ORDER_KILL : INIT_ORDER_TREE, signal);
}

/* ---- reports --------------------------------------------------------------------------------------------------------- */

/* What init has reported so far. 1: the tree has ended; that report is left there for the next call. */
static int last_report(struct child *child, struct init_report *report) {
  int fd = child->watched[WATCHED_INIT].fd;
  while (fd >= 0 && recv(fd, report, sizeof *report, MSG_DONTWAIT | MSG_PEEK) == (ssize_t)sizeof *report) {
    if (report->kind == INIT_REPORT_ENDED) return 1;
    if (report->kind == INIT_REPORT_REFUSED) child->tree_refuses = 1;
    if (report->kind == INIT_REPORT_LIMIT) child->limit = (uint8_t)report->pid;
    recv(fd, report, sizeof *report, MSG_DONTWAIT);
  }
  return 0;
}

int init_client_end(struct child *child, int *status, struct usage *usage) {
  struct init_report report;
  if (!last_report(child, &report)) return 0;
  *status = report.status;
  if (usage) memcpy(usage, report.usage, sizeof *usage);
  return 1;
}

int init_client_refuses(struct child *child) {
  struct init_report report;
  last_report(child, &report);
  return child->tree_refuses;
}
