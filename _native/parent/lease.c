#include "lease.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "descriptor.h"
#include "monotonic.h"
#include "state_lock.h"

enum { PAGE = 4096 };

static int page_open(struct lease *lease) {
  void *page = MAP_FAILED;
  int file = (int)syscall(SYS_memfd_create, "aiospawn:lease", MFD_CLOEXEC); /* the function is younger than glibc 2.17 */
  if (file == -1) return -errno;
  int error = descriptor_lift(&file, 3);
  if (error == 0 && ftruncate(file, PAGE) == -1) error = -errno;
  if (error == 0) page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (error == 0 && page == MAP_FAILED) error = -errno;
  if (error == 0 && madvise(page, PAGE, MADV_DONTFORK) == -1) error = -errno; /* a fork must not renew it */
  if (error < 0) {
    if (page != MAP_FAILED) munmap(page, PAGE);
    if (file >= 0) close(file);
    return error;
  }
  lease->file = file;
  lease->renewed = page;
  return 0;
}

int lease_open(struct lease *lease) {
  state_lock(); /* so that a fork finds the file */
  int error = lease->renewed ? 0 : page_open(lease);
  state_unlock();
  if (error == 0) lease_renew(lease);
  return error;
}

void lease_renew(const struct lease *lease) {
  if (lease->renewed) __atomic_store_n(lease->renewed, monotonic_ns(), __ATOMIC_RELEASE);
}

void lease_close(struct lease *lease) {
  if (!lease->renewed) return;
  munmap(lease->renewed, PAGE);
  close(lease->file);
  lease->renewed = NULL;
}

void lease_after_fork(struct lease *lease) {
  if (lease->renewed) close(lease->file);
  lease->renewed = NULL;
}
