#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "aiospawn.h"
#include "child/sys.h"

/* The numbers are the same on every processor (landlock(7)), and newer than some C libraries. */
enum { CREATE_RULESET = 444, ADD_RULE = 445 };
enum { ASK_VERSION = 1 };
enum { RULE_PATH = 1, RULE_PORT = 2 };
enum { ACTION_AVAILABLE = 2 };

int aiospawn_landlock_abi(void) {
  long abi = sys3(CREATE_RULESET, 0, 0, ASK_VERSION);
  return abi < 0 ? 0 : (int)abi;
}

int aiospawn_landlock_ruleset(uint64_t files, uint64_t ports, uint64_t scopes) {
  struct {
    uint64_t files, ports, scopes;
  } handled = {files, ports, scopes}; /* an older kernel takes the longer structure if what it does not know is zero */
  return (int)sys3(CREATE_RULESET, (long)&handled, sizeof handled, 0);
}

int aiospawn_landlock_allow_path(int ruleset, int fd, uint64_t access) {
  struct {
    uint64_t access;
    int32_t fd;
  } __attribute__((packed)) rule = {access, fd};
  return (int)sys4(ADD_RULE, ruleset, RULE_PATH, (long)&rule, 0);
}

int aiospawn_landlock_allow_port(int ruleset, uint64_t port, uint64_t access) {
  struct {
    uint64_t access, port;
  } rule = {access, port};
  return (int)sys4(ADD_RULE, ruleset, RULE_PORT, (long)&rule, 0);
}

int aiospawn_seccomp_filters(void) {
  uint32_t action = 0x00050000; /* SECCOMP_RET_ERRNO */
  return sys3(SYS_seccomp, ACTION_AVAILABLE, 0, (long)&action) == 0;
}

int aiospawn_may_drop_bounding(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{0}};
  return sys2(SYS_capget, (long)&header, (long)data) == 0 && (data[0].effective & 1U << CAP_SETPCAP) != 0;
}
