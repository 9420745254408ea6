/* A hook that does nothing. */
int harmless(void *unused) {
  (void)unused;
  return 0;
}
