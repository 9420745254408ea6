/* The kernel's structures as the native part writes them down. */
#include "child/clone.c"
#include "parent/exit_status.c"
#include "child/step_signals.c"

#include <sys/resource.h>

#include "layout.h"

_Static_assert(sizeof(struct usage) == sizeof(struct rusage), "this C library's struct rusage is the kernel's, and so is ours");
_Static_assert(sizeof(struct usage) == AIOSPAWN_USAGE_SIZE, "and what the extension copies of a batch");

uint32_t features_found(void) { return 0; }

void ours(char *text) {
  TELL("sigaction", struct kernel_sigaction, 4, handler, flags, restorer, mask);
  TELL("clone_args", struct clone_args_v0, 4, pidfd, child_tid, exit_signal, stack);
  TELL("clone_args", struct clone_args_v0, 4, flags, parent_tid, stack_size, tls);
  TELL("rusage", struct rusage, 4, ru_utime, ru_stime, ru_maxrss, ru_nivcsw);
  TELL("pidfd_info", struct pidfd_info_v0, 1, exit_code);
}
