"""How a process tree is ended."""
