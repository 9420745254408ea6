"""The only door to the native part."""
