/* A program whose first thread ends at once, while another reads lines and answers. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static void *answer(void *nothing) {
  (void)nothing;
  char line[64];
  while (fgets(line, sizeof line, stdin)) {
    printf(">%s", line);
    fflush(stdout);
  }
  exit(7);
}

int main(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, answer, NULL);
  pthread_exit(NULL);
}
