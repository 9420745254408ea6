/* The contract between Python and the native part of aiospawn.
 *
 * Data. Python compiles a launch into one flat request (struct aiospawn_request, steps, step data, strings), which
 * aiospawn_launch() copies before it returns: the caller keeps its bytes. What a wake-up brought lies in the reactor's
 * batch (struct aiospawn_batch), owned by the reactor and overwritten by the next aiospawn_poll().
 *
 * Errors. Functions that return int give 0 or more on success and a negated errno otherwise. errno itself is not used.
 *
 * Ownership of descriptors. Everything aiospawn_launch() makes belongs to the reactor: the status pipe, the pidfd, the
 * parent's ends of the pipes. A pipe end leaves by aiospawn_disown(): from then on the caller closes the descriptor, after
 * a call of aiospawn_shut(), which takes it out of the epoll set while the number still means that pipe. A token names a
 * child; it is never used twice, so a stale one is answered with -ESRCH and can never mean another child.
 *
 * Threads. launch, fork, poll, watch, shut, disown and release are for the thread that runs the reactor's loop. signal, peek,
 * dup_pidfd and reap_orphans may be called from any thread.
 *
 * Fork. In the child of any fork of this process, every reactor is dead: its descriptors are closed (those disowned are replaced
 * by /dev/null, so that the owner may close them there too), its functions answer -EOWNERDEAD, aiospawn_generation has changed.
 */
#ifndef AIOSPAWN_H
#define AIOSPAWN_H

#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

/* cffi */
enum {
  AIOSPAWN_REQUEST_VERSION = 3,
  AIOSPAWN_STREAMS = 3,          /* pipes of a launch: standard input, output and error */
  AIOSPAWN_END_STATUS = 3,       /* with the ends of the streams: the status pipe */
  AIOSPAWN_END_REQUEST = 4,      /* and what the launcher reads */
  AIOSPAWN_ENDS = 5,
  AIOSPAWN_REGISTER = -16,
  AIOSPAWN_NO_FD = -2147483647,
  AIOSPAWN_MAX_SAVED = 1024,     /* descriptors a plan may set aside before it overwrites their numbers */
  AIOSPAWN_MAX_STEPS = 65536,
  AIOSPAWN_BATCH_EVENTS = 384,   /* the most events of a batch: three for each of 128 ready descriptors */
  AIOSPAWN_BATCH_DATA = 1048576, /* the most bytes */
  AIOSPAWN_USAGE_SIZE = 144      /* the struct rusage of a 64-bit kernel: two timevals, fourteen counters */
};

/* What the child does between clone and execve, in the order given by the request. Names follow the system calls. */
enum aiospawn_step_kind {
  AIOSPAWN_STEP_EXECVE,          /* no step of a request: in an error record: the program could not be executed */
  AIOSPAWN_STEP_LAUNCHER,        /* likewise: the launcher could not be executed, or refused the request */
  AIOSPAWN_STEP_INHERIT,         /* likewise: an inherited stream, whose number is the index, could not be taken over */
  AIOSPAWN_STEP_SAVE,            /* duplicate fd out of the way, into register value */
  AIOSPAWN_STEP_DUP,             /* fd becomes descriptor number value; the same number: clear close-on-exec */
  AIOSPAWN_STEP_DUP_SAVED,       /* register fd becomes descriptor number value */
  AIOSPAWN_STEP_CLOEXEC,         /* set (value 1) or clear (0) fd's close-on-exec flag */
  AIOSPAWN_STEP_OPEN,            /* open data with the flags and mode (high half) in value as descriptor number fd */
  AIOSPAWN_STEP_CLOSE,           /* close the descriptors fd ... value but the child's ends and the program's */
  AIOSPAWN_STEP_CHROOT,          /* to the directory data */
  AIOSPAWN_STEP_CHDIR,           /* to the directory data */
  AIOSPAWN_STEP_FCHDIR,          /* to the directory fd */
  AIOSPAWN_STEP_UMASK,           /* value */
  AIOSPAWN_STEP_SETSID,
  AIOSPAWN_STEP_SETPGID,         /* into process group value; 0: a new one */
  AIOSPAWN_STEP_TIOCSCTTY,       /* fd becomes the controlling terminal */
  AIOSPAWN_STEP_TCSETPGRP,       /* the child's group becomes the foreground group of terminal fd */
  AIOSPAWN_STEP_SIGDEFAULT,      /* the signals of the mask value to their default action */
  AIOSPAWN_STEP_SIGIGNORE,       /* the signals of the mask value are ignored */
  AIOSPAWN_STEP_RLIMIT,          /* resource value, data: soft and hard limit, 8 bytes each */
  AIOSPAWN_STEP_NICE,            /* value is added */
  AIOSPAWN_STEP_SCHEDULER,       /* value: policy, priority in the high half */
  AIOSPAWN_STEP_AFFINITY,        /* data: CPU mask */
  AIOSPAWN_STEP_IOPRIO,          /* value: class and level as ioprio_set(2) has them */
  AIOSPAWN_STEP_OOM_SCORE_ADJ,   /* data: the number as text */
  AIOSPAWN_STEP_TIMER_SLACK,     /* value: nanoseconds */
  AIOSPAWN_STEP_PDEATHSIG,       /* value: signal, the parent's pid in the high half */
  AIOSPAWN_STEP_CGROUP,          /* data: path of cgroup.procs; with value 1: in the directory fd, and data is its name if it is the tree's */
  AIOSPAWN_STEP_SETNS,           /* namespace fd */
  AIOSPAWN_STEP_UNSHARE,         /* flags value; data: uid and gid map, each terminated, or none */
  AIOSPAWN_STEP_BOUNDING,        /* drop the capabilities of mask value from the bounding set */
  AIOSPAWN_STEP_KEEPCAPS,        /* keep permitted capabilities across SETUID */
  AIOSPAWN_STEP_SETGROUPS,       /* data: value ids of 4 bytes */
  AIOSPAWN_STEP_SETGID,          /* real, effective and saved: value */
  AIOSPAWN_STEP_SETUID,
  AIOSPAWN_STEP_CAPSET,          /* take the capabilities of mask value away */
  AIOSPAWN_STEP_AMBIENT,         /* raise the capabilities of mask value in the ambient set */
  AIOSPAWN_STEP_PRCTL,           /* value: operation of prctl(2), its argument in the high half */
  AIOSPAWN_STEP_LANDLOCK,        /* ruleset fd */
  AIOSPAWN_STEP_SECCOMP,         /* data: BPF program */
  AIOSPAWN_STEP_HOOK,            /* data: function and argument pointers */
  AIOSPAWN_STEP_PREEXEC_FN,      /* Python code, once and with AIOSPAWN_FORKED only; in an error record: it raised */
  AIOSPAWN_STEP_LIMIT,           /* no more than value of enum aiospawn_limit fd, for the whole tree; with AIOSPAWN_INIT only */
  AIOSPAWN_STEP_LANDLOCK_RULES,  /* data: struct landlock_ruleset_attr, 8 bytes each; then rules: the access (8 bytes), and a path, or
                                  * a colon and a TCP port, terminated. A path that is not there has no rule */
  AIOSPAWN_STEP_VIEW,            /* enum aiospawn_view fd; with AIOSPAWN_INIT_NAMESPACE, in the prelude */
  AIOSPAWN_STEP_INIT,            /* no step of a request: where an error record says that init could not be made */
  AIOSPAWN_STEP_KINDS
};

/* A file system of its own (child/step_view.c). The value is flags of mounts, MOUNT_ATTR_*. */
enum aiospawn_view {
  AIOSPAWN_VIEW_BEGIN,           /* the namespaces value, CLONE_NEW*; an empty root if that of mounts is among them */
  AIOSPAWN_VIEW_LOOPBACK,        /* the interface of a new network namespace is up */
  AIOSPAWN_VIEW_BIND,            /* data: minor and major of the device (4 bytes each), inode (8); path; its place there. Inode 0: whatever is there, if any */
  AIOSPAWN_VIEW_TMPFS,           /* data: path; names and values of its options by turns; an empty name */
  AIOSPAWN_VIEW_PROC,            /* data: path */
  AIOSPAWN_VIEW_LINK,            /* data: what the symbolic link leads to, its directory, its name */
  AIOSPAWN_VIEW_END,             /* what was put there becomes the root */
  AIOSPAWN_VIEWS
};

/* What init ends the tree for. */
enum aiospawn_limit {
  AIOSPAWN_NO_LIMIT,
  AIOSPAWN_LIMIT_MEMORY,         /* bytes; 0: memory.max of the tree's cgroup is the limit */
  AIOSPAWN_LIMIT_PROCESSES,
  AIOSPAWN_LIMIT_CPU,            /* ms of processor time */
  AIOSPAWN_LIMIT_WALL,           /* ms from its beginning */
  AIOSPAWN_LIMITS
};

enum aiospawn_request_flag {
  AIOSPAWN_PRIVATE_MEMORY = 1,   /* a clone without CLONE_VM */
  AIOSPAWN_VIA_LAUNCHER = 2,     /* the steps behind the prelude run in the launcher; where it cannot serve, as above */
  AIOSPAWN_KEEP_PIDFD = 4,       /* the child leads a process group, which can be signalled when it is gone */
  AIOSPAWN_SET_SIGMASK = 8,      /* the program's signal mask is not the caller's, but sigmask */
  AIOSPAWN_MAY_SHARE_TABLE = 16, /* the child needs no descriptor but its ends and the inherited streams (parent/fd_block.h) */
  AIOSPAWN_FORKED = 32,          /* for aiospawn_fork_prepare(), not for aiospawn_launch() */
  AIOSPAWN_COLLECTED = 64,       /* one reader has all of it, and waits for nothing but the end: STARTED does not come, and the ends of
                                  * pipes come with EXITED, or behind it */
  AIOSPAWN_INIT = 128,           /* with VIA_LAUNCHER: the launcher stays as the program's init, and kills what it leaves behind */
  AIOSPAWN_INIT_WAIT = 256,      /* with INIT: or waits for them, */
  AIOSPAWN_INIT_LEAVE = 512,     /* or leaves them */
  AIOSPAWN_INIT_NAMESPACE = 1024,/* with INIT: init is process 1 of a PID namespace of its own */
  AIOSPAWN_INIT_CGROUP = 2048,   /* with INIT: the cgroup that a step joins is the tree's own: it is killed, and removed if we are gone */
  AIOSPAWN_NO_ECHO = 4096,       /* of a pseudo terminal: what is typed is not written back, from before the program runs */
  AIOSPAWN_DROP_AT_END = 8192    /* with COLLECTED: dropped by aiospawn_drop_ended(); not where aiospawn_keep() was called, or its program
                                  * ran and a pipe is still open or its status is lost */
};

enum aiospawn_pipe {             /* struct aiospawn_request.pipes */
  AIOSPAWN_NO_PIPE,
  AIOSPAWN_CHILD_READS,
  AIOSPAWN_CHILD_WRITES,
  AIOSPAWN_PTY                   /* of stream 0: a pseudo terminal. The parent writes to stream 0, reads from stream 1 */
};

/* A descriptor operand below zero means one of the child's ends: -1 - stream, -1 - AIOSPAWN_END_...; from AIOSPAWN_REGISTER down
 * a descriptor that was set aside: AIOSPAWN_REGISTER - register. */
struct aiospawn_step {
  uint32_t kind;
  int32_t fd;
  int64_t value;
  uint32_t data;                 /* offset into the step data */
  uint32_t size;
};

/* Followed by the steps, then data_size bytes of step data, then the NUL-terminated strings: candidate paths of the
 * program, arguments, environment. */
struct aiospawn_request {
  uint32_t version;
  uint32_t flags;
  uint32_t steps;
  uint32_t prelude;              /* so many of the steps are only for the way to the launcher, and first */
  uint32_t data_size;
  int32_t top;                   /* the highest descriptor number that the steps write to */
  int32_t pipe_size;             /* bytes, for F_SETPIPE_SZ; 0: as the kernel gives it */
  int32_t program;               /* descriptor operand of the program, or AIOSPAWN_NO_FD: the candidates */
  uint64_t sigmask;
  uint16_t rows, columns;        /* of a pseudo terminal; 0: as the kernel gives it */
  uint8_t pipes[3];              /* enum aiospawn_pipe by stream */
  uint8_t inherits;              /* bit n: stream n is the parent's */
  uint32_t candidates;           /* from here on it is this launch's; what is before belongs to all that are set up so */
  uint32_t arguments;
  uint32_t variables;
  uint32_t lease_ms;             /* with INIT: the tree ends where the lease is not renewed for so long; 0: it has none */
};

struct aiospawn_launched {
  uint64_t token;
  int32_t pid;
  int32_t pidfd;                 /* the reactor's */
};

enum aiospawn_event_kind {
  AIOSPAWN_STARTED,              /* the program runs; not with AIOSPAWN_COLLECTED */
  AIOSPAWN_FAILED,               /* it does not: value errno, extra step kind, offset step index. The child is reaped */
  AIOSPAWN_DIED,                 /* killed by signal value before it could run the program. The child is reaped */
  AIOSPAWN_DATA,                 /* length bytes at offset of the batch's data, read from stream */
  AIOSPAWN_EOF,                  /* end of stream, or its read error in value; out of the set, closed unless disowned.
                                  * Not before EXITED with AIOSPAWN_COLLECTED */
  AIOSPAWN_WRITABLE,             /* stream takes data again */
  AIOSPAWN_READER_GONE,          /* stream has no reader any more; out of the set */
  AIOSPAWN_EXITED,               /* reaped: value is the exit status, or the negated signal; extra: 1 usage known, 2 status lost,
                                  * and from bit 8 on enum aiospawn_limit: the limit that init has ended it for. With
                                  * AIOSPAWN_COLLECTED, stream has bit n if stream n has ended */
  AIOSPAWN_EVENT_KINDS
};

struct aiospawn_event {
  uint64_t token;
  uint32_t kind;
  uint32_t stream;
  int32_t value;
  int32_t extra;
  uint32_t offset;
  uint32_t length;
};

struct aiospawn_batch {
  uint32_t head;                 /* the next event to deliver; moved by the caller */
  uint32_t count;
  const struct aiospawn_event *events;
  const unsigned char *data;
  const unsigned char *usage;    /* the kernel's struct rusage per event, of AIOSPAWN_USAGE_SIZE, valid where EXITED has it */
};

enum aiospawn_watch {
  AIOSPAWN_WATCH_OFF,            /* not in the set: an entry with an empty mask would still report a hang-up, for ever */
  AIOSPAWN_WATCH_IDLE,           /* only the loss of the other side */
  AIOSPAWN_WATCH_READ,
  AIOSPAWN_WATCH_WRITE
};

enum aiospawn_feature {
  AIOSPAWN_HAS_STUB = 1,         /* the clone stub is written for this processor */
  AIOSPAWN_HAS_SHARED_MEMORY = 2,/* CLONE_VM really shares (not under emulators) */
  AIOSPAWN_HAS_PIDFD = 4,        /* CLONE_PIDFD, waitid(P_PIDFD), pidfd_send_signal, epoll on a pidfd */
  AIOSPAWN_HAS_CLONE3 = 8,       /* with CLONE_CLEAR_SIGHAND */
  AIOSPAWN_HAS_CLOSE_RANGE = 16,
  AIOSPAWN_HAS_PIDFD_INFO = 32,  /* PIDFD_GET_INFO has the exit code of a child that was reaped elsewhere */
  AIOSPAWN_UNDER_VALGRIND = 64,
  AIOSPAWN_SHORTAGE = 128,       /* no child could be made to try: that may pass */
  AIOSPAWN_HAS_PROC_CHILDREN = 256, /* /proc lists a thread's children, CONFIG_PROC_CHILDREN */
  AIOSPAWN_HAS_PIDFD_AUTOKILL = 512 /* clone3 takes CLONE_PIDFD_AUTOKILL */
};

/* Changes in the child of a fork. */
extern uint32_t aiospawn_generation;

/* What the kernel offers, as feature bits less those in without; tried in a real child, once unless there is a shortage. */
uint32_t aiospawn_probe(uint32_t without);

/* The launcher program: opened once, executed from its descriptor, also where the file is replaced or gone. */
int aiospawn_launcher_open(const char *path);
/* Can it be executed here? Tried once. */
int aiospawn_launcher_usable(void);

/* Reserves low descriptor numbers (parent/fd_block.h) where RLIMIT_NOFILE allows thousands; the first launch gives them back in a
 * process that has few. */
void aiospawn_fd_block_reserve(void);

/* NULL with -errno in *error. suspend: every launch waits for its execve (CLONE_VFORK). */
struct aiospawn_reactor *aiospawn_reactor_open(int suspend, int *error);
int aiospawn_reactor_epoll(const struct aiospawn_reactor *reactor);
struct aiospawn_batch *aiospawn_reactor_batch(struct aiospawn_reactor *reactor);
/* Closes every descriptor; children live on as orphans, and are reaped by aiospawn_reap_orphans(). From then on its functions answer
 * -EOWNERDEAD. */
void aiospawn_reactor_close(struct aiospawn_reactor *reactor);
/* No thread may be in one of its functions. Until another one is opened they answer as those of a closed one. */
void aiospawn_reactor_free(struct aiospawn_reactor *reactor);
/* Reaps the children of reactors that are closed, as far as they have ended; so does every launch, opening and closing. Until
 * then each has a descriptor, its pidfd. From any thread. */
void aiospawn_reap_orphans(void);

/* On an error nothing was made. Whether the program could be executed is reported by a later event. */
int aiospawn_launch(struct aiospawn_reactor *reactor, const unsigned char *request, size_t size,
                    struct aiospawn_launched *launched);

/* A launch whose child the caller forks, so that Python code can run in it (PREEXEC_FN). One at a time for a reactor, all of it
 * on the loop's thread:
 *
 *   the parent: aiospawn_fork_prepare(), fork(), aiospawn_fork_adopt(); where any of that fails, aiospawn_fork_withdraw().
 *   the child:  aiospawn_fork_run_steps(), the Python code, aiospawn_fork_execute() or aiospawn_fork_refuse().
 *
 * The fork has to be libc's, by the thread that prepared it: that one's child keeps its ends of the pipes, all others close
 * them. The child waits in aiospawn_fork_run_steps() until it is adopted, and exits if it never is. So its number is its own until
 * its pidfd is open, whatever waits for children in this process; and a caller that withdraws has only to reap it. From the
 * adoption on only the reactor may wait for it. Pipes, status pipe and pidfd are the reactor's, as after aiospawn_launch(). */
/* The parent's end of the pipe at which the child waits: the child has to close it before aiospawn_fork_run_steps(). */
int aiospawn_fork_prepare(struct aiospawn_reactor *reactor, const unsigned char *request, size_t size);
/* On an error the child is not adopted. */
int aiospawn_fork_adopt(struct aiospawn_reactor *reactor, int pid, struct aiospawn_launched *launched);
/* Closes what was prepared. Nothing happens if nothing is, as after the adoption. */
void aiospawn_fork_withdraw(struct aiospawn_reactor *reactor);
/* Runs the steps before PREEXEC_FN, with all signals blocked. It returns only if they succeed. */
void aiospawn_fork_run_steps(struct aiospawn_reactor *reactor);
/* Runs the others, with all signals blocked, and executes the program. Does not return. own_environment: the program's is not
 * the request's, but this process's, as the Python code has changed it. */
void aiospawn_fork_execute(struct aiospawn_reactor *reactor, int own_environment);
/* The Python code raised: reports that and exits. */
void aiospawn_fork_refuse(struct aiospawn_reactor *reactor);

/* Fills the batch with what is ready, without waiting; the number of events. The last batch must have been delivered. */
int aiospawn_poll(struct aiospawn_reactor *reactor);

int aiospawn_watch(struct aiospawn_reactor *reactor, uint64_t token, int stream, int how);
/* The descriptor of a pipe end, still the reactor's. */
int aiospawn_stream(struct aiospawn_reactor *reactor, uint64_t token, int stream);
/* The descriptor, from now on the caller's to close; the reactor goes on reading or watching it until aiospawn_shut(). */
int aiospawn_disown(struct aiospawn_reactor *reactor, uint64_t token, int stream);
/* Takes a pipe end out of the set and closes it unless disowned. */
int aiospawn_shut(struct aiospawn_reactor *reactor, uint64_t token, int stream);
/* 1 if a pseudo terminal holds input that a read of its child's side would return, an end-of-file too; 0 if it would wait. */
int aiospawn_terminal_unread(struct aiospawn_reactor *reactor, uint64_t token, int stream);
/* The pidfd that AIOSPAWN_KEEP_PIDFD kept open, from now on the caller's to close. */
int aiospawn_take_pidfd(struct aiospawn_reactor *reactor, uint64_t token);
/* Drops the children with AIOSPAWN_DROP_AT_END whose end is in the batch; so does the next poll. */
void aiospawn_drop_ended(struct aiospawn_reactor *reactor);
/* A child with that flag is there until it is released, as others are. */
int aiospawn_keep(struct aiospawn_reactor *reactor, uint64_t token);
/* The child is dropped: what it still holds is closed, the token is stale. */
int aiospawn_release(struct aiospawn_reactor *reactor, uint64_t token);

/* group: the child's process group, which it leads; as long as the group has members on Linux 6.9, before that as long as
 * the child is not reaped. */
int aiospawn_signal(struct aiospawn_reactor *reactor, uint64_t token, int signal, int group);
/* Of a child with INIT, whose pid is init's: every process below init gets the signal, and from now on init waits for those that are
 * left. Of SIGKILL, here and above: everybody is killed, until nobody is left. */
int aiospawn_signal_tree(struct aiospawn_reactor *reactor, uint64_t token, int signal);
/* Of all children that have a lease: this process goes on. A launch does that too. */
int aiospawn_renew_lease(struct aiospawn_reactor *reactor);
/* 1 if init, which is to kill, has reported that it may not signal the processes that are left. */
int aiospawn_tree_refuses(struct aiospawn_reactor *reactor, uint64_t token);
/* 1 and the status (as in EXITED) if the child has exited, 0 if not; it is not reaped by this call, but may be already. */
int aiospawn_peek(struct aiospawn_reactor *reactor, uint64_t token, int *status);
/* A duplicate of the child's pidfd, the caller's to close. */
int aiospawn_dup_pidfd(struct aiospawn_reactor *reactor, uint64_t token);

/* The ABI of Landlock (landlock(7)), 0 where there is none. */
int aiospawn_landlock_abi(void);
/* A ruleset that handles these accesses, the caller's to close, or -errno; and what it allows. */
int aiospawn_landlock_ruleset(uint64_t files, uint64_t ports, uint64_t scopes);
int aiospawn_landlock_allow_path(int ruleset, int fd, uint64_t access);
int aiospawn_landlock_allow_port(int ruleset, uint64_t port, uint64_t access);
/* Does this kernel take seccomp filters that answer with an error? */
int aiospawn_seccomp_filters(void);
/* Puts the calling thread behind a filter for good: the descriptor of its listener (seccomp_unotify(2)), or -errno. */
int aiospawn_seccomp_listener(const void *instructions, uint16_t count);
/* Does this kernel have listeners that let a call go on, and pidfd_getfd(2): Linux 5.6? */
int aiospawn_seccomp_listeners(void);
/* A duplicate of a process's descriptor, close-on-exec, or -errno. */
int aiospawn_descriptor_of(int pid, int fd);
/* Can a child be given a view of its own: namespaces, mounts, /proc? Tried once in a child, unless there is a shortage. */
int aiospawn_views(void);
/* Has the calling thread CAP_SETPCAP in effect, and may it make namespaces (CAP_SYS_ADMIN)? */
int aiospawn_may_drop_bounding(void);
int aiospawn_may_make_namespaces(void);
/* A network namespace in which nothing is, close-on-exec, the caller's to close, or -errno. */
int aiospawn_empty_network(void);
/* cffi */

#endif
