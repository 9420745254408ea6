/* The other end of a pipe: `pump write BYTES` writes them to standard output, `pump read` reads standard input to its end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char buffer[256 << 10];

int main(int argc, char **argv) {
  if (argc == 3 && !strcmp(argv[1], "write")) {
    for (long left = atol(argv[2]); left > 0;) {
      ssize_t written = write(1, buffer, left < (long)sizeof buffer ? (size_t)left : sizeof buffer);
      if (written < 0) {
        perror("write");
        return 1;
      }
      left -= written;
    }
    return 0;
  }
  if (argc == 2 && !strcmp(argv[1], "read")) {
    ssize_t got;
    while ((got = read(0, buffer, sizeof buffer)) > 0) {
    }
    if (got < 0) perror("read");
    return got < 0;
  }
  fprintf(stderr, "usage: pump write BYTES | pump read\n");
  return 2;
}
