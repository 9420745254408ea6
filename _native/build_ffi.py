"""The cffi module aiospawn._binding._ffi, declared by the marked part of aiospawn.h and by nothing else."""

from pathlib import Path

from cffi import FFI

HEADER = Path(__file__).with_name("aiospawn.h").read_text(encoding="utf-8")
_, DECLARATIONS, _ = HEADER.split("/* cffi */\n")

ffibuilder = FFI()
ffibuilder.cdef(DECLARATIONS)
ffibuilder.set_source("aiospawn._binding._ffi", '#include "aiospawn.h"', py_limited_api=True)
