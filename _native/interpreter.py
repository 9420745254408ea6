"""Run by CMake: fails, and says why, where the native part cannot be built for this interpreter."""

import sys
import sysconfig

if sysconfig.get_config_var("Py_GIL_DISABLED"):
    sys.exit(
        "aiospawn needs a CPython with the global interpreter lock: free-threaded builds (such as python3.14t) "
        f"are not supported, and {sys.executable} is one"
    )
