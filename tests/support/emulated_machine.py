"""Debian's kernel on an emulated machine, with a system of ours in memory: for scripts of tests/long.

Needs Debian's apt, an emulator of QEMU, and cpio. What the system prints is shown as it comes.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pathlib

__all__ = ["boot", "kernel", "options_of_apt", "run"]

_MACHINES = {
    "arm64": ("qemu-system-aarch64", "ttyAMA0", ["-M", "virt", "-cpu", "max"]),
    "amd64": ("qemu-system-x86_64", "ttyS0", ["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max"]),
}
_FIRST = """\
#!/bin/sh
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
# Of the file system that the kernel has unpacked none can be left by pivot_root(2): so it is mounted once more.
if [ -z "$MOUNTED" ]; then
  mkdir /again && mount --bind / /again && cd /again && mount --move . / && MOUNTED=1 exec chroot . /init
fi
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts; mount -t tmpfs tmpfs /dev/shm; mount -t tmpfs tmpfs /tmp
chmod 1777 /tmp /dev/shm
cd /root
sh /command </dev/null 2>&1
echo "exit status $?"
echo o >/proc/sysrq-trigger
sleep 60
"""


def run(*command: object, cwd: pathlib.Path | None = None) -> str:
    return subprocess.run([*map(str, command)], cwd=cwd, check=True, stdout=subprocess.PIPE, text=True).stdout


def options_of_apt(work: pathlib.Path, architecture: str) -> list[str]:
    """For apt with lists and packages below `work`, where they are updated. This machine's apt is left as it is."""
    for name in ("lists", "archives"):
        (work / name / "partial").mkdir(parents=True)
    (work / "status").touch()
    places = (
        f"Dir::State::lists={work}/lists",
        f"Dir::State::status={work}/status",
        f"Dir::Cache::archives={work}/archives",
    )
    rest = (f"APT::Architecture={architecture}", f"APT::Architectures={architecture}", "Dir::Cache::pkgcache=")
    last = ("Dir::Cache::srcpkgcache=", "APT::Sandbox::User=root", "Acquire::Languages=none")
    options = [word for each in (*places, *rest, *last) for word in ("-o", each)]
    run("apt-get", "-qq", *options, "update")
    return options


def kernel(work: pathlib.Path, apt: list[str], name: str) -> pathlib.Path:
    """The image of the kernel that this package of Debian's depends on."""
    (package,) = re.findall(r"^ *Depends: (linux-image-\S+)$", run("apt-cache", *apt, "depends", name), re.MULTILINE)
    run("apt-get", "-qq", *apt, "download", package, cwd=work)
    (archive,) = work.glob("linux-image-*.deb")
    run("dpkg-deb", "-x", archive, work / "kernel")
    (image,) = (work / "kernel" / "boot").glob("vmlinuz-*")
    return image


def boot(work: pathlib.Path, image: pathlib.Path, root: pathlib.Path, command: str, architecture: str, memory: int) -> int:
    """Runs a command of the shell in the system below `root`: its exit status; 1 where the machine did not come to it."""
    for name in ("proc", "sys", "dev", "tmp", "root", "run"):
        (root / name).mkdir(exist_ok=True)
    (root / "command").write_text(command)
    (root / "init").write_text(_FIRST)
    (root / "init").chmod(0o755)
    with (work / "initrd").open("wb") as archive:
        files = "\0".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
        pack = ["cpio", "--null", "-o", "-H", "newc", "--quiet"]
        subprocess.run(pack, cwd=root, input=files.encode(), stdout=archive, check=True)
    emulator, console, machine = _MACHINES[architecture]
    started = [emulator, *machine, "-smp", "2", "-m", str(memory), "-nic", "none", "-no-reboot", "-display", "none"]
    started += ["-serial", "stdio", "-kernel", os.fspath(image), "-initrd", os.fspath(work / "initrd")]
    given: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "text": True, "errors": "replace"}
    status = 1
    # no_timer_check: on a busy machine the emulated one's timer seems not to work.
    with subprocess.Popen(
        [*started, "-append", f"console={console} panic=-1 quiet no_timer_check"], **given
    ) as machine_process:
        assert machine_process.stdout is not None
        for line in machine_process.stdout:
            sys.stdout.write(line)
            ended = re.match(r"exit status (\d+)", line)
            status = int(ended[1]) if ended else status
    return status
