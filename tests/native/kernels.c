/* The same structures from the kernel's own headers, which cannot stand beside libc's. */
#include <asm/signal.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/types.h>

#include "layout.h"

/* Of <linux/clone.h> the first version, and of <linux/pidfd.h> the first that tells exit codes, younger than most headers. */
struct clone_args_first {
  __u64 members[CLONE_ARGS_SIZE_VER0 / 8];
};
struct pidfd_info_first {
  __u64 mask, cgroupid;
  __u32 pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
  __s32 exit_code;
};

void kernels(char *text) {
  TELL("sigaction", struct sigaction, 4, sa_handler, sa_flags, sa_restorer, sa_mask);
  text += sprintf(text, "clone_args: %zu at %zu %zu %zu %zu\n", sizeof(struct clone_args_first),
                  offsetof(struct clone_args, pidfd), offsetof(struct clone_args, child_tid),
                  offsetof(struct clone_args, exit_signal), offsetof(struct clone_args, stack));
  text += sprintf(text, "clone_args: %zu at %zu %zu %zu %zu\n", sizeof(struct clone_args_first),
                  offsetof(struct clone_args, flags), offsetof(struct clone_args, parent_tid),
                  offsetof(struct clone_args, stack_size), offsetof(struct clone_args, tls));
  TELL("rusage", struct rusage, 4, ru_utime, ru_stime, ru_maxrss, ru_nivcsw);
  TELL("pidfd_info", struct pidfd_info_first, 1, exit_code);
}
