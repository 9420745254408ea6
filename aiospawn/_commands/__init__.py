"""Commands that are awaited: run, pipeline, lines, system, popen, ProcessGroup."""
