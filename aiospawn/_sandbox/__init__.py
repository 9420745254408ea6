"""A sandbox as a value: Landlock and seccomp, compiled from names and paths."""
