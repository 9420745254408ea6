"""Tests that need a memory controller of cgroup v2, on an emulated x86_64 machine with Debian's kernel and this Python.

    python tests/long/emulated_cgroups.py [ARGUMENT OF PYTEST ...]

Without arguments those of init's cgroup and of limits kept in it. Needs Debian's apt, qemu-system-x86 and cpio. It takes
minutes, for every instruction is translated.
"""

from __future__ import annotations

import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

CHECKOUT = pathlib.Path(__file__).parents[2]
sys.path.append(str(CHECKOUT / "tests" / "support"))

from emulated_machine import boot, kernel, options_of_apt, run

TESTS = ("tests/sandbox/test_limits_in_cgroups.py", "tests/sandbox/test_limits.py", "tests/termination/test_init_cgroup.py")
PROGRAMS = (
    "sh",
    "cat",
    "sleep",
    "head",
    "true",
    "false",
    "mount",
    "umount",
    "ls",
    "setsid",
    "mkdir",
    "rm",
    "wc",
    "chmod",
    "env",
    "bash",
    "chroot",
)
LEFT_OUT = shutil.ignore_patterns(
    "__pycache__", "test", "idlelib", "*.a", "config-*", "playwright", "mypy", "share", "include"
)


def copied(place: pathlib.Path, root: pathlib.Path) -> None:
    """A file or a directory, to the same place."""
    there = root / place.relative_to("/")
    there.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir():
        shutil.copytree(place, there, symlinks=True, ignore=LEFT_OUT, dirs_exist_ok=True)
    elif not there.exists():
        shutil.copy2(place, there)


def libraries(program: pathlib.Path) -> set[pathlib.Path]:
    listed = subprocess.run(
        ["ldd", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False
    ).stdout
    return {pathlib.Path(word) for word in listed.split() if word.startswith("/")}


def system(root: pathlib.Path) -> None:
    """The root of this machine, as far as these tests need it."""
    for top in ("bin", "sbin", "lib", "lib64"):
        if os.path.islink(f"/{top}"):
            (root / top).symlink_to(os.readlink(f"/{top}"))
            (root / "usr" / top).mkdir(parents=True)
    programs = {pathlib.Path(found) for found in map(shutil.which, PROGRAMS) if found}
    prefixes = {pathlib.Path(prefix) for prefix in (sys.prefix, sys.base_prefix)}
    modules = {module for prefix in prefixes for module in prefix.rglob("*.so*")}
    needed = {library for each in {*programs, *modules, pathlib.Path(sys.executable)} for library in libraries(each)}
    for place in (*prefixes, *programs, *needed):
        copied(place, root)
    for name in run("git", "ls-files", cwd=CHECKOUT).splitlines():
        copied(CHECKOUT / name, root)
    (root / "etc").mkdir()
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n")
    (root / "etc" / "group").write_text("root:x:0:\nnogroup:x:65534:\n")


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        work = pathlib.Path(directory)
        root = work / "root"
        root.mkdir()
        system(root)
        image = kernel(work, options_of_apt(work, "amd64"), "linux-image-cloud-amd64")
        tests = shlex.join([sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", *(sys.argv[1:] or TESTS)])
        return boot(work, image, root, f"cd {shlex.quote(str(CHECKOUT))} && {tests}", "amd64", 3072)


if __name__ == "__main__":
    sys.exit(main())
