#include "launcher_client.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "children.h"
#include "descriptor.h"
#include "init_client.h"
#include "launcher/init.h"
#include "launcher/launcher.h"
#include "features.h"
#include "probe.h"
#include "state_lock.h"
#include "exit_status.h"
#include "child/sys.h"

/* ---- the program --------------------------------------------------------------------------------------------------- */

static int program = -1;
static struct stat identity;

int aiospawn_launcher_open(const char *path) {
  if (getxattr(path, "security.capability", NULL, 0) >= 0) return -EPERM;
  program = open(path, O_PATH | O_CLOEXEC);
  if (program == -1) return -errno;
  int error = descriptor_lift(&program, 3);
  if (error == 0 && fstat(program, &identity) == -1) error = -errno;
  return error;
}

/* Programs close descriptors that they do not know: the number may mean another file by now. One with more rights
 * than its user (a mode bit, as capabilities above) would give them to the steps. */
static int is_still_ours(void) {
  struct stat now;
  return program >= 0 && fstat(program, &now) == 0 && now.st_dev == identity.st_dev && now.st_ino == identity.st_ino &&
         !(now.st_mode & (S_ISUID | S_ISGID));
}

static void try_launcher(void *argument) {
  static const char *const question[] = {"?", NULL}, *const nothing[] = {NULL};
  sys5(SYS_execveat, *(int *)argument, (long)"", (long)question, (long)nothing, AT_EMPTY_PATH);
  for (;;) sys1(SYS_exit_group, 127);
}

/* A noexec mount, a lost bit, a seccomp filter: tried, in a suspended child as in probe.c. -1: it could not be. */
static int answers(void) {
  int pidfd, status = -1;
  long pid = run_suspended(try_launcher, &program, (features_found() & AIOSPAWN_HAS_CLONE3) != 0, &pidfd);
  if (pid < 0) return is_shortage(pid) ? -1 : 0;
  if (exit_status_of(pidfd, WEXITED, &status, NULL) == -ECHILD) exit_status_await(pidfd, &status);
  close(pidfd);
  return status == LAUNCHER_ANSWER;
}

/* No lock: a fork elsewhere would copy it as it is held. Two threads may ask at the same time, and hear the same. */
int aiospawn_launcher_usable(void) {
  static int usable = -1;
  if (!is_still_ours()) return 0;
  int answer = __atomic_load_n(&usable, __ATOMIC_ACQUIRE);
  if (answer == -1 && child_would_be_first()) return 0;
  if (answer == -1) __atomic_store_n(&usable, answer = answers(), __ATOMIC_RELEASE);
  return answer == 1;
}

/* ---- privileges ---------------------------------------------------------------------------------------------------- */

struct capabilities {
  uint64_t effective, permitted, inheritable;
};

static int capabilities_read(struct capabilities *found) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{0}};
  if (sys2(SYS_capget, (long)&header, (long)data) < 0) return 0;
  found->effective = data[0].effective | (uint64_t)data[1].effective << 32;
  found->permitted = data[0].permitted | (uint64_t)data[1].permitted << 32;
  found->inheritable = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
  return 1;
}

static int is_ambient(int capability) { return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0) == 1; }

static int is_bounding(int capability) { return prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1; }

/* After an execve root has what is inheritable or in its bounding set, also what it had given up; everybody else has what is
 * ambient. All of it is effective then (capabilities(7)). */
static int keeps_capabilities(int root) {
  struct capabilities now;
  if (!capabilities_read(&now) || now.effective != now.permitted) return 0;
  for (int capability = 0; capability < 64; capability++) {
    int has = (now.permitted >> capability & 1) != 0;
    int will_have = root ? (now.inheritable >> capability & 1) || is_bounding(capability) : has && is_ambient(capability);
    if (has != will_have) return 0;
  }
  return 1;
}

/* The saved ids and those for file systems become the effective ones (credentials(7)); -1 changes nothing, and reads. */
static int keeps_ids(void) {
  uid_t real, effective, saved;
  gid_t group, effective_group, saved_group;
  if (getresuid(&real, &effective, &saved) == -1 || real != effective || effective != saved) return 0;
  if (getresgid(&group, &effective_group, &saved_group) == -1) return 0;
  if (saved_group != effective_group && saved_group != group) return 0;
  return (uid_t)setfsuid((uid_t)-1) == effective && (gid_t)setfsgid((gid_t)-1) == effective_group;
}

int launcher_keeps_privileges(void) {
  if (!keeps_ids()) return 0;
  int root = getuid() == 0;
  if (root && prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) != 0) return 0;
  return keeps_capabilities(root);
}

/* ---- the request --------------------------------------------------------------------------------------------------- */

/* All signals are blocked round a clone: this one would come when they no longer are. */
static void drop_pending(int signal) {
  static const struct timespec now = {0, 0};
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  sigtimedwait(&set, NULL, &now);
}

/* Small requests go through a pipe, which costs half of a file in memory. What the reader gets is what was written
 * in either case: the file's offset is not moved. */
static int request_open(size_t size, struct iovec *parts, int count, const struct launch *launch, int32_t *reader) {
  int ends[2] = {-1, -1}, error = 0;
  ssize_t written;
  state_lock(); /* so that a fork finds the reader in the table */
  if (size > LAUNCHER_BUFFER) ends[0] = memfd_create("aiospawn", MFD_CLOEXEC);
  else if (pipe2(ends, O_CLOEXEC) == -1) ends[0] = -1;
  if (ends[0] == -1) error = -errno;
  if (!error) {
    written = ends[1] == -1 ? pwritev(ends[0], parts, count, 0) : writev(ends[1], parts, count);
    if (written != (ssize_t)size) error = written == -1 ? -errno : -EIO;
  }
  if (ends[1] >= 0) close(ends[1]);
  *reader = ends[0];
  if (!error) error = descriptor_lift_end(reader, launch);
  state_unlock();
  if (error == -EFBIG) drop_pending(SIGXFSZ);
  return error;
}

static enum init_mode init_of(const struct aiospawn_request *head) {
  if (!(head->flags & AIOSPAWN_INIT)) return INIT_NONE;
  if (head->flags & AIOSPAWN_INIT_WAIT) return INIT_WAIT;
  return head->flags & AIOSPAWN_INIT_LEAVE ? INIT_LEAVE : INIT_KILL;
}

static int write_request(struct child *child, const struct aiospawn_request *head, int32_t *reader) {
  const struct launch *launch = &child->stack->launch;
  const struct aiospawn_step *steps = launch->steps + head->prelude;
  const char *candidates = launch->candidates[0], *arguments = launch->arguments[0];
  size_t steps_size = (head->steps - head->prelude) * sizeof *steps;
  size_t candidates_size = head->candidates ? (size_t)(arguments - candidates) : 0;
  struct launcher_request request = {
      .version = LAUNCHER_VERSION,
      .steps = head->steps - head->prelude,
      .steps_at = sizeof request,
      .data_at = (uint32_t)(sizeof request + steps_size),
      .candidates = head->candidates,
      .candidates_at = (uint32_t)(sizeof request + steps_size + head->data_size),
      .size = (uint32_t)(sizeof request + steps_size + head->data_size + candidates_size),
      .first_index = head->prelude,
      .top = head->top,
      .program = head->program,
      .has_close_range = (uint32_t)launch->has_close_range,
      .init = (uint16_t)init_of(head),
      .lists_children = (features_found() & AIOSPAWN_HAS_PROC_CHILDREN) != 0,
      .mask = launch->mask,
  };
  struct iovec parts[] = {
      {&request, sizeof request},
      {(void *)steps, steps_size},
      {(void *)launch->data, head->data_size},
      {(void *)candidates, candidates_size},
  };
  if (request.init == INIT_NONE) return request_open(request.size, parts, 4, launch, reader);
  if (request.size <= LAUNCHER_BUFFER) return init_client_open(child, parts, 4, -1, reader);
  int32_t file = -1;
  int error = request_open(request.size, parts, 4, launch, &file);
  if (error == 0) error = init_client_open(child, parts, 1, file, reader);
  state_lock();
  if (file >= 0) close(file);
  state_unlock();
  return error;
}

int launcher_prepare(struct child *child, const struct aiospawn_request *head, int32_t *reader) {
  struct launch *launch = &child->stack->launch;
  if (!launch->arguments[0]) return -EINVAL;
  int error = write_request(child, head, reader);
  if (error < 0) return error;
  launch->arguments[-1] = launch->numbers; /* the NULL behind the candidates, which are in the request now */
  launch->arguments--;
  launch->ends[AIOSPAWN_END_REQUEST] = *reader;
  launch->step_count = head->prelude;
  launch->program = program;
  launch->execve_kind = AIOSPAWN_STEP_LAUNCHER;
  launch->mask = ~(uint64_t)0;
  return 0;
}

void launcher_write_ends(struct launch *launch, int stays) {
  const int *ends = launch->ends;
  snprintf(launch->numbers, sizeof launch->numbers, "%d %d %d %d %d%s", ends[0], ends[1], ends[2], ends[AIOSPAWN_END_STATUS],
           ends[AIOSPAWN_END_REQUEST], stays ? " i" : "");
}
