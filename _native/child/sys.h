/* Raw system calls: no errno, no thread-local storage, no PLT. A negated errno comes back as the kernel gives it.
 * What a processor needs for a child that does not suspend its parent is here and in the stub of clone.c. */
#ifndef AIOSPAWN_CHILD_SYS_H
#define AIOSPAWN_CHILD_SYS_H

#include <stdint.h>
#include <sys/syscall.h>

#if defined(__x86_64__) && defined(__LP64__) && !defined(AIOSPAWN_NO_STUB)
#define AIOSPAWN_STUB 1

static inline long sys6(long n, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

#elif defined(__aarch64__) && !defined(AIOSPAWN_NO_STUB)
#define AIOSPAWN_STUB 1

static inline long sys6(long n, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = n;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                   : "memory", "cc");
  return x0;
}

#else
#define AIOSPAWN_STUB 0
#include <errno.h>
#include <unistd.h>

/* libc's syscall() writes errno, which the child shares with its parent: harmless only while the parent is suspended. */
static inline long sys6(long n, long a, long b, long c, long d, long e, long f) {
  long result = syscall(n, a, b, c, d, e, f);
  return result == -1 ? -errno : result;
}

#endif

static inline long sys0(long n) { return sys6(n, 0, 0, 0, 0, 0, 0); }
static inline long sys1(long n, long a) { return sys6(n, a, 0, 0, 0, 0, 0); }
static inline long sys2(long n, long a, long b) { return sys6(n, a, b, 0, 0, 0, 0); }
static inline long sys3(long n, long a, long b, long c) { return sys6(n, a, b, c, 0, 0, 0); }
static inline long sys4(long n, long a, long b, long c, long d) { return sys6(n, a, b, c, d, 0, 0); }
static inline long sys5(long n, long a, long b, long c, long d, long e) { return sys6(n, a, b, c, d, e, 0); }

/* Puts a value into a word and returns what was there, atomically. Not the compiler's: on aarch64 that may be a call of a library. */
static inline int32_t swap_word(int32_t *word, int32_t value) {
#if AIOSPAWN_STUB && defined(__aarch64__)
  int32_t old, failed;
  __asm__ volatile(
      "1: ldaxr %w0, %2\n\t"
      "stlxr %w1, %w3, %2\n\t"
      "cbnz %w1, 1b"
      : "=&r"(old), "=&r"(failed), "+Q"(*word)
      : "r"(value)
      : "memory");
  return old;
#else
  return __atomic_exchange_n(word, value, __ATOMIC_ACQ_REL);
#endif
}

/* Younger than the headers of the oldest systems this builds on. */
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* libc's procmask wrappers keep the two signals of its own thread machinery open: all 64 must be blocked round a clone. */
static inline long sys_sigmask(const uint64_t *set, uint64_t *old) {
  return sys4(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, (long)set, (long)old, sizeof *set);
}

#endif
