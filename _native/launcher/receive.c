/* The first message of init's socket. Compiled like child.c. */
#include <fcntl.h>
#include <stddef.h>
#include <sys/socket.h>

#include "init.h"
#include "child/sys.h"

long launcher_receive(int socket, void *memory, uint64_t size, int files[INIT_FILES]) {
  union {
    struct cmsghdr header;
    unsigned char bytes[CMSG_SPACE(INIT_FILES * sizeof *files)];
  } passed = {.bytes = {0}};
  struct {
    void *base;
    uint64_t size;
  } part = {memory, size};
  struct msghdr message = {
      .msg_iov = (void *)&part, .msg_iovlen = 1, .msg_control = &passed, .msg_controllen = sizeof passed};
  enum { INTERRUPTED = -4 /* EINTR */ };
  long length;
  files[0] = files[1] = -1;
  do length = sys3(SYS_recvmsg, socket, (long)&message, MSG_CMSG_CLOEXEC);
  while (length == INTERRUPTED);
  int is_passed = length > 0 && message.msg_controllen >= CMSG_LEN(sizeof *files) && passed.header.cmsg_level == SOL_SOCKET &&
                  passed.header.cmsg_type == SCM_RIGHTS;
  for (unsigned i = 0; is_passed && i < INIT_FILES && passed.header.cmsg_len >= CMSG_LEN((i + 1) * sizeof *files); i++)
    files[i] = ((const int *)CMSG_DATA(&passed.header))[i];
  return length;
}
