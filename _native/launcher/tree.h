/* The processes below init, found through /proc. */
#ifndef AIOSPAWN_LAUNCHER_TREE_H
#define AIOSPAWN_LAUNCHER_TREE_H

#include <stdint.h>

struct tree {
  int self;                        /* init's pid, as /proc has it */
  int is_namespace;                /* it is a PID namespace, and init its process 1: /proc is needed to look only */
  int proc;                        /* descriptor of /proc, or -1 */
  int lists_children;              /* does the kernel keep the file "children" of a thread (CONFIG_PROC_CHILDREN)? */
  struct member *queue;            /* those that were seen, parents before their children */
  uint32_t room;                   /* in the queue */
};

/* What came of going through them. */
struct found {
  uint32_t count;                  /* of processes that got the signal */
  uint32_t refused;                /* that may not be signalled */
  int refusing;                    /* one of these */
  uint64_t hash;                   /* of the process ids: the same twice, the same tree */
};

struct member {
  int pid, parent;
};

/* 0 or a negated errno. */
long tree_open(struct tree *tree);
/* How many are below init, the first of the queue; it looks no further when it has found more than `most`, unless that is 0. */
uint32_t tree_list(struct tree *tree, int64_t most);
/* A file of a process, as text: its length, or a negated errno. */
long tree_read(const struct tree *tree, int pid, const char *file, char *text, uint64_t size);
/* Signals everybody, parents before their children; of a process group only, unless that is 0. */
void tree_signal(struct tree *tree, int signal, int group, struct found *found);
/* Kills the group of a child of init's that is not reaped, if it leads one, by one call that no fork escapes: what doubles is faster
 * than anybody who goes through it. */
void tree_kill_group(int leader);
/* Kills everybody, children before their parents. */
void tree_kill(struct tree *tree, struct found *found);

#endif
