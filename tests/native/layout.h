/* Lays of structures as text: the name, the size, and the offset of each member that matters. */
#include <stddef.h>
#include <stdio.h>

#define LAY_1(type, a) " %zu", offsetof(type, a)
#define LAY_4(type, a, b, c, d) \
  " %zu %zu %zu %zu", offsetof(type, a), offsetof(type, b), offsetof(type, c), offsetof(type, d)
#define TELL(name, type, count, ...)                                                    \
  do {                                                                                  \
    text += sprintf(text, "%s: %zu at", name, sizeof(type));                            \
    text += sprintf(text, LAY_##count(type, __VA_ARGS__));                              \
    text += sprintf(text, "\n");                                                        \
  } while (0)
