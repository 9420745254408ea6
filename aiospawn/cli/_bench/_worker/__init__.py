"""One measurement, in a process of its own: `python -m aiospawn.cli._bench._worker SPEC` prints its figures as JSON.

SPEC is a JSON object with the fields of `Spec`.
"""
