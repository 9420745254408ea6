/* The kernel of the fuzzers: the child's own files run against it, so that whatever a request makes them hand to a system call
 * is read or written as the kernel would, under the sanitizers. The files are compiled for a processor without a stub, where
 * they call syscall(), and that is this one (-Dsyscall=fuzz_syscall). */
#ifndef FUZZ_KERNEL_H
#define FUZZ_KERNEL_H

#include <stddef.h>
#include <stdint.h>

struct launch;

/* Runs the child to its end. What its system calls answer is drawn from the seed; a call of a hook is not made. */
void fuzz_run(struct launch *launch, uint32_t seed);

struct init_plan;

/* The same with an init, until it or its command ends: its orders, its children and /proc are drawn as well. */
void fuzz_run_init(struct launch *launch, const struct init_plan *plan, uint32_t seed);

#endif
