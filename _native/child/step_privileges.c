/* Steps on credentials, capabilities, namespaces and filters. Under the contract of child.c; never in memory that is shared
 * where they change credentials or filter system calls. */
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <signal.h>
#include <stddef.h>

#include "steps.h"

enum {
  /* <sys/prctl.h> would drag libc's prctl in */
  SET_KEEPCAPS = 8, DROP_BOUNDING = 24, AMBIENT = 47, AMBIENT_RAISE = 2,
  SECCOMP_FILTER = 1,
  LANDLOCK_CREATE = 444, LANDLOCK_ADD_RULE = 445, LANDLOCK_PATH = 1, LANDLOCK_PORT = 2, /* the same on every processor */
  NOT_THERE = -2 /* ENOENT */, BAD_RULES = -22 /* EINVAL */,
  CAPABILITIES = 64,
  NO_SUCH_CAPABILITY = -22 /* EINVAL */
};
/* Where the plain calls are older than 32-bit ids (i386, arm), they cut them short: 65536 would be root. */
#ifdef SYS_setresuid32
enum { SET_GROUPS = SYS_setgroups32, SET_GID = SYS_setresgid32, SET_UID = SYS_setresuid32 };
#else
enum { SET_GROUPS = SYS_setgroups, SET_GID = SYS_setresgid, SET_UID = SYS_setresuid };
#endif
#ifndef SYS_landlock_restrict_self
#define SYS_landlock_restrict_self 446
#endif

/* ---- ids ----------------------------------------------------------------------------------------------------------- */

long step_setgroups(struct step_context *context, const struct aiospawn_step *step) {
  return sys2(SET_GROUPS, step->value, (long)data_of(context, step));
}

long step_setgid(struct step_context *context, const struct aiospawn_step *step) {
  (void)context;
  return sys3(SET_GID, step->value, step->value, step->value);
}

long step_setuid(struct step_context *context, const struct aiospawn_step *step) {
  (void)context;
  return sys3(SET_UID, step->value, step->value, step->value);
}

/* ---- capabilities -------------------------------------------------------------------------------------------------- */

static long each_capability(uint64_t mask, long operation, long argument) {
  for (long capability = 0; capability < CAPABILITIES; capability++) {
    if (!(mask >> capability & 1)) continue;
    long result = argument ? sys5(SYS_prctl, operation, argument, capability, 0, 0)
                           : sys5(SYS_prctl, operation, capability, 0, 0, 0);
    if (result < 0) return result;
  }
  return 0;
}

/* Dropping "all" names capabilities that this kernel may not have. */
long step_bounding(struct step_context *context, const struct aiospawn_step *step) {
  (void)context;
  long result = each_capability((uint64_t)step->value, DROP_BOUNDING, 0);
  return result == NO_SUCH_CAPABILITY && step->value == -1 ? 0 : result;
}

long step_keepcaps(struct step_context *context, const struct aiospawn_step *step) {
  (void)context, (void)step;
  return sys5(SYS_prctl, SET_KEEPCAPS, 1, 0, 0, 0);
}

struct capability_sets {
  struct __user_cap_header_struct header;
  struct __user_cap_data_struct data[2];
};

static long sets_get(struct capability_sets *sets) {
  sets->header.version = _LINUX_CAPABILITY_VERSION_3;
  sets->header.pid = 0;
  return sys2(SYS_capget, (long)&sets->header, (long)sets->data);
}

/* Takes the capabilities of the mask away. */
long step_capset(struct step_context *context, const struct aiospawn_step *step) {
  (void)context;
  struct capability_sets sets = {0};
  long result = sets_get(&sets);
  if (result < 0) return result;
  for (int half = 0; half < 2; half++) {
    uint32_t keep = ~(uint32_t)((uint64_t)step->value >> 32 * half);
    sets.data[half].permitted &= keep;
    sets.data[half].inheritable &= keep;
    sets.data[half].effective &= keep;
  }
  return sys2(SYS_capset, (long)&sets.header, (long)sets.data);
}

/* Ambient: what a program without file capabilities keeps across its execve. */
long step_ambient(struct step_context *context, const struct aiospawn_step *step) {
  (void)context;
  struct capability_sets sets = {0};
  long result = sets_get(&sets);
  if (result < 0) return result;
  for (int half = 0; half < 2; half++) sets.data[half].inheritable |= (uint32_t)((uint64_t)step->value >> 32 * half);
  result = sys2(SYS_capset, (long)&sets.header, (long)sets.data);
  return result < 0 ? result : each_capability((uint64_t)step->value, AMBIENT, AMBIENT_RAISE);
}

/* ---- filters ------------------------------------------------------------------------------------------------------- */

/* The low half is the operation, the high half its argument. What acts on the memory never runs in memory that is shared. */
long step_prctl(struct step_context *context, const struct aiospawn_step *step) {
  (void)context;
  return sys5(SYS_prctl, step->value & 0xffffffff, step->value >> 32, 0, 0, 0);
}

long step_landlock(struct step_context *context, const struct aiospawn_step *step) {
  return sys2(SYS_landlock_restrict_self, operand(context, step->fd), 0);
}

static uint64_t eight_bytes(const unsigned char *at) {
  uint64_t value;
  for (unsigned i = 0; i < sizeof value; i++) ((unsigned char *)&value)[i] = at[i];
  return value;
}

static long add_port(long ruleset, uint64_t access, const unsigned char *digits) {
  struct {
    uint64_t access, port;
  } rule = {access, 0};
  for (; *digits; digits++) rule.port = rule.port * 10 + (*digits - '0');
  return sys4(LANDLOCK_ADD_RULE, ruleset, LANDLOCK_PORT, (long)&rule, 0);
}

static long add_path(long ruleset, uint64_t access, const unsigned char *path) {
  struct {
    uint64_t access;
    int32_t fd;
  } __attribute__((packed)) rule = {access, -1};
  long fd = sys4(SYS_openat, AT_FDCWD, (long)path, O_PATH | O_CLOEXEC, 0);
  if (fd == NOT_THERE) return 0;
  if (fd < 0) return fd;
  rule.fd = (int32_t)fd;
  long result = sys4(LANDLOCK_ADD_RULE, ruleset, LANDLOCK_PATH, (long)&rule, 0);
  sys1(SYS_close, fd);
  return result;
}

/* Of paths as they are here: a view of its own has files that nobody outside can open. */
long step_landlock_rules(struct step_context *context, const struct aiospawn_step *step) {
  const unsigned char *data = data_of(context, step);
  uint64_t handled[3] = {eight_bytes(data), eight_bytes(data + 8), eight_bytes(data + 16)};
  long ruleset = sys3(LANDLOCK_CREATE, (long)handled, sizeof handled, 0), result = ruleset;
  for (uint32_t at = sizeof handled; result >= 0 && at < step->size; at++) {
    if (step->size - at <= sizeof *handled) return BAD_RULES;
    uint64_t access = eight_bytes(data + at);
    const unsigned char *place = data + at + sizeof *handled;
    result = *place == ':' ? add_port(ruleset, access, place + 1) : add_path(ruleset, access, place);
    for (at += sizeof *handled; data[at]; at++) {
    }
  }
  if (result >= 0) result = sys2(SYS_landlock_restrict_self, ruleset, 0);
  if (ruleset >= 0) sys1(SYS_close, ruleset);
  return result;
}

/* What a filter kills dies by a SIGSYS that no handler catches. Behind it prctl may be forbidden. */
long step_seccomp(struct step_context *context, const struct aiospawn_step *step) {
  struct {
    unsigned short length;
    const void *filter;
  } program = {(unsigned short)(step->size / 8), data_of(context, step)};
  core_forbid(context);
  return sys3(SYS_seccomp, SECCOMP_FILTER, 0, (long)&program);
}

/* ---- namespaces ---------------------------------------------------------------------------------------------------- */

long step_setns(struct step_context *context, const struct aiospawn_step *step) {
  return sys2(SYS_setns, operand(context, step->fd), step->value);
}

static char *append(char *end, const char *text) {
  while (*text) *end++ = *text++;
  return end;
}

static long length_of(const char *text) {
  long length = 0;
  while (text[length]) length++;
  return length;
}

/* /proc/ and the number of this process there, which may be another than getpid() gives: /proc is of the namespace in which
 * it was mounted. */
struct place {
  char path[24];
};

static long place_of_self(struct place *place) {
  char *number = append(place->path, "/proc/");
  long length = sys4(SYS_readlinkat, AT_FDCWD, (long)"/proc/self", (long)number, place->path + sizeof place->path - number - 1);
  if (length >= 0) number[length] = 0;
  return length;
}

static long write_map(const struct place *process, const char *file, const char *text, long length) {
  char path[48];
  *append(append(append(path, process->path), "/"), file) = 0;
  return write_file(AT_FDCWD, path, text, length);
}

/* Without CAP_SETGID in the parent namespace a group map needs setgroups to be given up first (user_namespaces(7)). */
static long write_maps(const struct place *process, const char *uid_map, const char *gid_map) {
  long result = *uid_map ? write_map(process, "uid_map", uid_map, length_of(uid_map)) : 0;
  if (result < 0 || !*gid_map) return result;
  result = write_map(process, "gid_map", gid_map, length_of(gid_map));
  if (result >= 0) return result;
  write_map(process, "setgroups", "deny", 4);
  return write_map(process, "gid_map", gid_map, length_of(gid_map));
}

/* Once unshared, the child has no rights in the old namespace, and more than its own id can only be mapped from there: a
 * helper stays behind, waits for a byte and writes the maps. Data: both maps, each terminated. */
static long unshare_mapped(const struct step_context *context, const struct aiospawn_step *step) {
  const char *uid_map = data_of(context, step), *gid_map = uid_map + length_of(uid_map) + 1;
  int go[2] = {-1, -1}, status = 0;
  char byte = 0;
  struct place self;
  long result = place_of_self(&self);
  if (result >= 0) result = sys2(SYS_pipe2, (long)go, O_CLOEXEC);
  if (result < 0) return result;
  int ignored = signal_is_ignored(SIGCHLD); /* then there would be nothing to wait for */
  if (ignored) signal_set(SIGCHLD, SIG_DFL);
  long helper = sys5(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (helper == 0) {
    sys1(SYS_close, go[1]);
    if (sys3(SYS_read, go[0], (long)&byte, 1) != 1) sys1(SYS_exit_group, 0);
    result = write_maps(&self, uid_map, gid_map);
    sys1(SYS_exit_group, result < 0 ? -result : 0);
  }
  sys1(SYS_close, go[0]);
  if (helper < 0) result = helper;
  else result = sys1(SYS_unshare, step->value);
  if (result >= 0) sys3(SYS_write, go[1], (long)&byte, 1);
  sys1(SYS_close, go[1]);
  if (helper > 0) sys4(SYS_wait4, helper, (long)&status, 0, 0);
  if (ignored) signal_set(SIGCHLD, SIG_IGN);
  if (result < 0) return result;
  return status & 0x7f ? -10 /* ECHILD: it was killed */ : -(status >> 8 & 0xff);
}

long step_unshare(struct step_context *context, const struct aiospawn_step *step) {
  return step->size ? unshare_mapped(context, step) : sys1(SYS_unshare, step->value);
}
