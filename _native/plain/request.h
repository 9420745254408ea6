/* A request that is joined of known parts and arguments, by the environment of the moment. */
#ifndef AIOSPAWN_PLAIN_REQUEST_H
#define AIOSPAWN_PLAIN_REQUEST_H

#include "state.h"

/* What the launches of a program have in common: bytes, borrowed. */
struct parts {
  PyObject *head, *steps;
  PyObject *paths;                 /* each with its NUL; NULL: the first argument */
  uint32_t counts[4];              /* of struct aiospawn_request, from candidates on */
};

/* Owned by who has encoded them, until arguments_release(). */
struct arguments {
  PyObject *usual[32];
  PyObject **encoded;              /* bytes */
  Py_ssize_t count;
  size_t size;                     /* of all, with the NUL behind each */
};

/* 1: each is there, without a NUL. 0: one of them, or the list, is not for us. -1: an exception. Nothing to release but for 1. */
int arguments_encode(PyObject *list, struct arguments *arguments);
void arguments_release(struct arguments *arguments);
/* The request as bytes. The environment is read here: a codec in Python may have changed it. */
PyObject *request_join(struct state *state, struct parts *parts, const struct arguments *arguments);

#endif
