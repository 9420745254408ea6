/* How a child ended, asked of its pidfd. */
#ifndef AIOSPAWN_STATUS_H
#define AIOSPAWN_STATUS_H

struct rusage;

/* waitid(P_PIDFD) with these flags. 1: *status is the exit status or the negated signal; 0: still running; -ECHILD: somebody
 * else reaped it, and -errno. */
int status_of(int pidfd, int flags, int *status, struct rusage *usage);
/* The same for a child that somebody else reaped: PIDFD_GET_INFO, Linux 6.15. -EAGAIN: he is not done with it, and the status
 * will be there in a moment. */
int status_of_reaped(int pidfd, int *status);
/* Waits for him. */
int status_of_reaped_soon(int pidfd, int *status);
/* The same, where the probe found that the kernel tells. */
int status_recovered(int pidfd, int *status);
/* Is this child, running or not yet reaped, what was cloned, or the launcher of that name, and not its program? A negated
 * errno where it cannot be told: /proc may not be mounted. */
int is_before_exec(int pid, const char *launcher);

#endif
