"""A conversation with a program on a terminal."""
