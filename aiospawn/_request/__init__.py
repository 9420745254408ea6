"""Options turned into bytes: the request that the native part reads."""
