/* How a child ended, asked of its pidfd, which stays the caller's. */
#ifndef AIOSPAWN_PARENT_EXIT_STATUS_H
#define AIOSPAWN_PARENT_EXIT_STATUS_H

/* The kernel's struct rusage: two timevals and fourteen counters. The C library's may be longer; musl's is. */
struct usage {
  long words[18];
};

/* waitid(P_PIDFD) with these flags. 1: *status is the exit status or the negated signal; 0: still running; -ECHILD: another
 * thread or process reaped it; or another negated errno. */
int exit_status_of(int pidfd, int flags, int *status, struct usage *usage);
/* The same for a child that was reaped elsewhere: PIDFD_GET_INFO, Linux 6.15. -EAGAIN: that is not done yet, and the status will
 * be there in a moment. */
int exit_status_of_reaped(int pidfd, int *status);
/* Waits for that. */
int exit_status_await(int pidfd, int *status);
/* exit_status_of_reaped() where the probe found that the kernel has it, else -ENOSYS. */
int exit_status_recover(int pidfd, int *status);

#endif
