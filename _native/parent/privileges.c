#include "privileges.h"

#include <linux/capability.h>
#include <stdint.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "child/sys.h"

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

int privileges_outlast_execve(void) {
  if (!keeps_ids()) return 0;
  int root = getuid() == 0;
  if (root && prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) != 0) return 0;
  return keeps_capabilities(root);
}

int privileges_make_namespaces(void) {
  struct capabilities now;
  return capabilities_read(&now) && (now.effective >> CAP_SYS_ADMIN & 1);
}
