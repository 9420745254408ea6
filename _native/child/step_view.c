/* A private view: namespaces, and a file system of its own in which there is only what is put there. Under the contract of child.c.
 *
 * Facts and rules:
 *  - it is made before the launcher's execve: a process that is no root in a new user namespace has its capabilities until then only.
 *  - the new root is mounted on top of the old one. The process's root stays what it was until pivot_root(2), so that absolute paths
 *    lead to the files outside, and only those relative to its descriptor into the view.
 *  - what is put there is named by its path, for the kernel clones mounts of its own namespace alone (open_tree(2)); that it is still
 *    the file that the path led to when the view was described is seen by its device and inode.
 *  - a place in the view is found with RESOLVE_IN_ROOT: a symbolic link within what was put there before leads nowhere else. */
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <linux/stat.h>
#include <stddef.h>

#include "steps.h"

enum {
  AT_BOTTOM = 0x1000 /* AT_EMPTY_PATH */, RECURSIVE = 0x8000 /* AT_RECURSIVE */, DETACHED = 2 /* MNT_DETACH */,
  PRIVATE = 0x44000 /* MS_REC | MS_PRIVATE */, IN_ROOT = 0x10 /* RESOLVE_IN_ROOT */,
  READ_ONLY = 1, NO_PRIVILEGES = 2, NO_DEVICES = 4, NO_PROGRAMS = 8, /* MOUNT_ATTR_* */
  MOST_OF_A_PATH = 4096,
  NOT_THERE = -2 /* ENOENT */, EXISTS = -17 /* EEXIST */, TOO_LONG = -36 /* ENAMETOOLONG */, REPLACED = -116 /* ESTALE */,
  INTERNET = 2, DATAGRAMS = 2, GET_FLAGS = 0x8913, SET_FLAGS = 0x8914, IS_UP = 1 /* IFF_UP */
};
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif

/* ---- mounts ---------------------------------------------------------------------------------------------------------- */

static long set_attributes(long mount, uint64_t attributes, int flags) {
  struct {
    uint64_t set, clear, propagation, user_namespace;
  } change; /* assigned one by one: an initializer may become a call of memset */
  change.set = attributes;
  change.clear = change.propagation = change.user_namespace = 0;
  return sys5(SYS_mount_setattr, mount, (long)"", AT_BOTTOM | flags, (long)&change, sizeof change);
}

static const char *behind(const char *text) {
  while (*text) text++;
  return text + 1;
}

/* A file system of this kind, mounted nowhere: its descriptor. The options are names and values by turns, and an empty name behind
 * them. */
static long make_mount(const char *kind, const char *options, uint64_t attributes) {
  long context = sys2(SYS_fsopen, (long)kind, FSOPEN_CLOEXEC), result = 0;
  if (context < 0) return context;
  for (const char *name = options; result == 0 && *name; name = behind(behind(name)))
    result = sys5(SYS_fsconfig, context, FSCONFIG_SET_STRING, (long)name, (long)behind(name), 0);
  if (result == 0) result = sys5(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, 0, 0, 0);
  if (result == 0) result = sys3(SYS_fsmount, context, FSMOUNT_CLOEXEC, (long)attributes);
  sys1(SYS_close, context);
  return result;
}

static long mount_on(long mount, long place) {
  return sys5(SYS_move_mount, mount, (long)"", place, (long)"", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

/* ---- places in the view ------------------------------------------------------------------------------------------------ */

static long open_in(long root, const char *path) {
  struct {
    uint64_t flags, mode, resolve;
  } how = {O_PATH | O_CLOEXEC, 0, IN_ROOT};
  return sys4(SYS_openat2, root, (long)path, (long)&how, sizeof how);
}

/* An entry of a directory of the view, made if it is not there; a file where is_file says so. */
static long make_entry(long directory, const char *name, int is_file) {
  enum { PLAIN_FILE = 0100644, DIRECTORY_MODE = 0755 };
  long result = is_file ? sys4(SYS_mknodat, directory, (long)name, PLAIN_FILE, 0)
                        : sys3(SYS_mkdirat, directory, (long)name, DIRECTORY_MODE);
  return result == EXISTS ? 0 : result;
}

/* A descriptor of the place, made with the directories above it: the root's own for the root. */
static long make_place(long root, const char *path, int is_file) {
  char copy[MOST_OF_A_PATH];
  int length = 0;
  for (; path[length]; length++) {
    if (length == MOST_OF_A_PATH - 1) return TOO_LONG;
    copy[length] = path[length];
  }
  copy[length] = 0;
  long above = root;
  for (int at = 1; above >= 0 && at < length;) {
    int end = at;
    while (copy[end] && copy[end] != '/') end++;
    int is_last = end >= length;
    copy[end] = 0;
    long here = open_in(root, copy);
    if (here == NOT_THERE) {
      here = make_entry(above, copy + at, is_last && is_file);
      if (here == 0) here = open_in(root, copy);
    }
    if (above != root) sys1(SYS_close, above);
    above = here;
    if (!is_last) copy[end] = '/';
    at = end + 1;
  }
  return above;
}

static void leave_place(long root, long place) {
  if (place >= 0 && place != root) sys1(SYS_close, place);
}

/* ---- the operations ---------------------------------------------------------------------------------------------------- */

/* The interface of a new network namespace is there, and down. */
static long raise_loopback(void) {
  struct {
    char name[16];
    short flags;
    char rest[22];
  } request;
  request.name[0] = 'l';
  request.name[1] = 'o';
  request.name[2] = 0;
  request.flags = 0;
  long socket = sys3(SYS_socket, INTERNET, DATAGRAMS | O_CLOEXEC, 0);
  if (socket < 0) return socket;
  long result = sys3(SYS_ioctl, socket, GET_FLAGS, (long)&request);
  request.flags = (short)(request.flags | IS_UP);
  if (result == 0) result = sys3(SYS_ioctl, socket, SET_FLAGS, (long)&request);
  sys1(SYS_close, socket);
  return result;
}

static long begin(struct step_context *context, const struct aiospawn_step *step) {
  long result = sys1(SYS_unshare, step->value);
  if (result < 0 || !(step->value & CLONE_NEWNS)) return result;
  result = sys5(SYS_mount, 0, (long)"/", 0, PRIVATE, 0);
  if (result < 0) return result;
  long root = make_mount("tmpfs", "mode\0" "0755\0", NO_PRIVILEGES | NO_DEVICES);
  if (root < 0) return root;
  context->view = (int)root;
  return sys5(SYS_move_mount, root, (long)"", AT_FDCWD, (long)"/", MOVE_MOUNT_F_EMPTY_PATH);
}

/* Data: device and inode of what was described, or 0 and 0; its path; its place. */
static long bind(const struct step_context *context, const struct aiospawn_step *step) {
  struct identity {
    uint32_t device_minor, device_major;
    uint64_t inode;
  } wanted;
  const unsigned char *data = data_of(context, step);
  for (unsigned i = 0; i < sizeof wanted; i++) ((unsigned char *)&wanted)[i] = data[i];
  const char *path = (const char *)data + sizeof wanted;
  struct statx found; /* not zeroed as a whole, which may become a call of memset */
  found.stx_ino = 0;
  found.stx_mode = 0;
  found.stx_dev_major = found.stx_dev_minor = 0;
  long tree = sys3(SYS_open_tree, AT_FDCWD, (long)path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | RECURSIVE);
  if (tree == NOT_THERE && !wanted.inode) return 0;
  if (tree < 0) return tree;
  long result = sys5(SYS_statx, tree, (long)"", AT_BOTTOM, STATX_TYPE | STATX_INO, (long)&found);
  if (result == 0 && wanted.inode &&
      (found.stx_ino != wanted.inode || found.stx_dev_major != wanted.device_major || found.stx_dev_minor != wanted.device_minor))
    result = REPLACED;
  if (result == 0) result = set_attributes(tree, (uint64_t)step->value, RECURSIVE);
  long place = result < 0 ? result : make_place(context->view, behind(path), (found.stx_mode & 0170000) != 0040000);
  result = place < 0 ? place : mount_on(tree, place);
  leave_place(context->view, place);
  sys1(SYS_close, tree);
  return result;
}

static long add(const struct step_context *context, const char *kind, const char *options, const char *path, uint64_t attributes) {
  long mount = make_mount(kind, options, attributes);
  if (mount < 0) return mount;
  long place = make_place(context->view, path, 0);
  long result = place < 0 ? place : mount_on(mount, place);
  leave_place(context->view, place);
  sys1(SYS_close, mount);
  return result;
}

/* Data: the path, then its options. */
static long add_tmpfs(const struct step_context *context, const struct aiospawn_step *step) {
  const char *path = data_of(context, step);
  return add(context, "tmpfs", behind(path), path, (uint64_t)step->value);
}

static long add_link(const struct step_context *context, const char *leads_to) {
  const char *directory = behind(leads_to);
  long place = make_place(context->view, directory, 0);
  if (place < 0) return place;
  long result = sys3(SYS_symlinkat, (long)leads_to, place, (long)behind(directory));
  leave_place(context->view, place);
  return result == EXISTS ? 0 : result;
}

static long enter(struct step_context *context, const struct aiospawn_step *step) {
  long result = set_attributes(context->view, (uint64_t)step->value, 0);
  if (result == 0) result = sys1(SYS_fchdir, context->view);
  if (result == 0) result = sys2(SYS_pivot_root, (long)".", (long)".");
  if (result == 0) result = sys2(SYS_umount2, (long)".", DETACHED);
  if (result == 0) result = sys1(SYS_chdir, (long)"/");
  sys1(SYS_close, context->view);
  context->view = -1;
  return result;
}

int view_try(void) {
  struct aiospawn_step step = {.kind = AIOSPAWN_STEP_VIEW, .value = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET};
  struct step_context context; /* not zeroed: its registers are many */
  context.view = -1;
  if (begin(&context, &step) < 0 || raise_loopback() < 0) return 0;
  long proc = make_mount("proc", "", READ_ONLY);
  step.value = READ_ONLY | NO_PRIVILEGES | NO_DEVICES | NO_PROGRAMS;
  return proc >= 0 && enter(&context, &step) == 0;
}

long step_view(struct step_context *context, const struct aiospawn_step *step) {
  const char *text = data_of(context, step);
  if (step->fd > AIOSPAWN_VIEW_LOOPBACK && context->view < 0) return NOT_THERE;
  switch (step->fd) {
    case AIOSPAWN_VIEW_BEGIN:
      return begin(context, step);
    case AIOSPAWN_VIEW_LOOPBACK:
      return raise_loopback();
    case AIOSPAWN_VIEW_BIND:
      return bind(context, step);
    case AIOSPAWN_VIEW_TMPFS:
      return add_tmpfs(context, step);
    case AIOSPAWN_VIEW_LINK:
      return add_link(context, text);
    case AIOSPAWN_VIEW_PROC:
      return add(context, "proc", "", text, (uint64_t)step->value);
    default:
      return enter(context, step);
  }
}
