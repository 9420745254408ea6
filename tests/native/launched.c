/* What launches.c launches: it ends with the status that its argument names, or tells of itself by it. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int count, char *arguments[]) {
  char text[16];
  const char *what = count > 1 ? arguments[1] : "";
  if (strcmp(what, "umask") == 0) return (int)(umask(0) & 0x7f);
  if (strcmp(what, "group") == 0) return getgid() == 65536 + 7 ? 7 : 1; /* in 16 bits it is another */
  if (strcmp(what, "echo") != 0) return atoi(what);
  for (ssize_t length; (length = read(0, text, sizeof text)) > 0;)
    if (write(1, text, (size_t)length) != length) return 1;
  return 0;
}
