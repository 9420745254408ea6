"""Many commands: map."""
