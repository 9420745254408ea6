"""The aarch64 wheel on a whole emulated machine, with Debian's kernel and Debian's Python for arm64.

    .ci/wheels --out dist manylinux_2_17_aarch64
    python tests/long/emulated_python.py dist/*aarch64.whl                         # doctor and demo
    python tests/long/emulated_python.py dist/*aarch64.whl 'COMMAND'               # what a shell there runs
    python tests/long/emulated_python.py dist/*aarch64.whl --tests tests/reactor   # pytest's arguments

Needs Debian's apt, and qemu-system-arm and cpio. What is printed there is shown, and the status is this script's. It takes
minutes, and for tests an hour, for every instruction is translated.
"""

from __future__ import annotations

import argparse
import pathlib
import shlex
import shutil
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).parents[1] / "support"))

from emulated_machine import boot, kernel, options_of_apt, run

PACKAGES = ("python3", "bash", "dash", "coreutils", "procps", "mount")
LEFT_OUT = ("usr/share/doc", "usr/share/locale", "usr/share/man", "usr/share/perl", "usr/lib/aarch64-linux-gnu/gconv")
DEFAULT = "aiospawn doctor && aiospawn demo --commands 100"
CHECKOUT = pathlib.Path(__file__).parents[2]
# Without the package's sources, which Python would find before what the wheel has installed; with more time for a test.
PYTEST = "cd /checkout && python3 -m pytest -n 2 --color=no -p no:cacheprovider -o timeout=3000"


def downloaded(work: pathlib.Path) -> tuple[pathlib.Path, list[pathlib.Path]]:
    """The kernel's image, and the packages of the system."""
    apt = options_of_apt(work, "arm64")
    run("apt-get", "-qq", *apt, "install", "--download-only", "--no-install-recommends", *PACKAGES, cwd=work)
    packages = [*(work / "archives").glob("*.deb")]
    return kernel(work, apt, "linux-image-arm64"), packages


def installed(requirement: str, version: str, site: pathlib.Path) -> None:
    """A package and what it needs, for that machine's Python."""
    platforms = [word for each in ("2_17", "2_28", "2_34") for word in ("--platform", f"manylinux_{each}_aarch64")]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-compile", "--only-binary", ":all:", "--target", site]
    run(*pip, *platforms, "--python-version", version, requirement)


def system(packages: list[pathlib.Path], wheel: str, extra: str, root: pathlib.Path) -> None:
    """Unpacked, not installed: nothing of it can be executed here."""
    for package in packages:
        run("dpkg-deb", "-x", package, root)
    for name in LEFT_OUT:
        shutil.rmtree(root / name, ignore_errors=True)
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    (version,) = {path.name for path in (root / "usr" / "bin").glob("python3.*")}
    site = root / "usr" / "local" / "lib" / version / "dist-packages"
    installed(f"aiospawn[{extra}] @ {pathlib.Path(wheel).resolve().as_uri()}", version.removeprefix("python"), site)
    program = root / "usr" / "local" / "bin" / "aiospawn"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text('#!/bin/bash\nexec python3 -m aiospawn "$@"\n')
    program.chmod(0o755)


def with_tests(arguments: list[str], root: pathlib.Path) -> str:
    """The command that runs them there."""
    files = run("git", "ls-files", "-z", ":!aiospawn", cwd=CHECKOUT)
    for name in filter(None, files.split("\0")):
        place = root / "checkout" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, place)
    return f"{PYTEST} {shlex.join(arguments)}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("wheel")
    parser.add_argument("command", nargs="?", default=DEFAULT)
    parser.add_argument("--tests", nargs=argparse.REMAINDER, help="pytest's arguments, in the place of a command")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        work = pathlib.Path(directory)
        root = work / "root"
        root.mkdir()
        image, packages = downloaded(work)
        system(packages, options.wheel, "cli" if options.tests is None else "test", root)
        command = options.command if options.tests is None else with_tests(options.tests, root)
        return boot(work, image, root, command, "arm64", 4096)


if __name__ == "__main__":
    sys.exit(main())
