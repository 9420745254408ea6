/* What an execve makes of this process's privileges. Nothing is owned here. */
#ifndef AIOSPAWN_PARENT_PRIVILEGES_H
#define AIOSPAWN_PARENT_PRIVILEGES_H

/* Would a program executed now have the privileges that this process has, no less and no more? */
int privileges_outlast_execve(void);
/* May it make namespaces without a user namespace of their own: has it CAP_SYS_ADMIN in effect? */
int privileges_make_namespaces(void);

#endif
