"""The aarch64 wheel on a whole emulated machine, with Debian's kernel and Debian's Python for arm64.

    .ci/wheels --out dist manylinux_2_17_aarch64
    python tests/long/emulated_python.py dist/*aarch64.whl [COMMAND]

Needs Debian's apt, and qemu-system-arm and cpio. A shell there runs the command, without one `aiospawn doctor && aiospawn
demo --commands 100`; what it prints is shown, and its status is this script's. It takes minutes, for every instruction is
translated.
"""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

PACKAGES = ("python3", "bash", "dash", "coreutils", "procps", "mount")
LEFT_OUT = ("usr/share/doc", "usr/share/locale", "usr/share/man", "usr/share/perl", "usr/lib/aarch64-linux-gnu/gconv")
MACHINE = ["-M", "virt", "-cpu", "max", "-smp", "2", "-m", "2048", "-nic", "none", "-no-reboot"]
FIRST = """\
#!/bin/bash
export PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts /dev/pts; mount -t tmpfs tmpfs /dev/shm; mount -t tmpfs tmpfs /tmp
cd /root
bash /command </dev/null 2>&1
echo "exit status $?"
echo o >/proc/sysrq-trigger
sleep 60
"""


def run(*command: object, cwd: pathlib.Path | None = None) -> str:
    return subprocess.run([*map(str, command)], cwd=cwd, check=True, stdout=subprocess.PIPE, text=True).stdout


def downloaded(work: pathlib.Path) -> tuple[pathlib.Path, list[pathlib.Path]]:
    """The kernel's image, and the packages of the system. This machine's apt is left as it is."""
    for name in ("lists", "archives"):
        (work / name / "partial").mkdir(parents=True)
    (work / "status").touch()
    places = (
        f"Dir::State::lists={work}/lists",
        f"Dir::State::status={work}/status",
        f"Dir::Cache::archives={work}/archives",
    )
    rest = ("APT::Architecture=arm64", "APT::Architectures=arm64", "Dir::Cache::pkgcache=", "Dir::Cache::srcpkgcache=")
    options = [word for each in (*places, *rest, "APT::Sandbox::User=root") for word in ("-o", each)]
    run("apt-get", "-qq", *options, "update")
    (kernel,) = re.findall(
        r"^ *Depends: (linux-image-\S+)$", run("apt-cache", *options, "depends", "linux-image-arm64"), re.MULTILINE
    )
    run("apt-get", "-qq", *options, "install", "--download-only", "--no-install-recommends", *PACKAGES, cwd=work)
    packages = [*(work / "archives").glob("*.deb")]
    run("apt-get", "-qq", *options, "download", kernel, cwd=work)
    (archive,) = work.glob("linux-image-*.deb")
    run("dpkg-deb", "-x", archive, work / "kernel")
    (image,) = (work / "kernel" / "boot").glob("vmlinuz-*")
    return image, packages


def system(packages: list[pathlib.Path], wheel: str, root: pathlib.Path) -> None:
    """Unpacked, not installed: nothing of it can be executed here."""
    for package in packages:
        run("dpkg-deb", "-x", package, root)
    for name in LEFT_OUT:
        shutil.rmtree(root / name, ignore_errors=True)
    for name in ("proc", "sys", "dev", "tmp", "root", "run"):
        (root / name).mkdir(exist_ok=True)
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/bash\n")
    (version,) = {path.name for path in (root / "usr" / "bin").glob("python3.*")}
    site = root / "usr" / "local" / "lib" / version / "dist-packages"
    platforms = [word for each in ("2_17", "2_28") for word in ("--platform", f"manylinux_{each}_aarch64")]
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-compile",
        "--only-binary",
        ":all:",
        "--target",
        site,
        *platforms,
    ]
    run(
        *pip, "--python-version", version.removeprefix("python"), f"aiospawn[cli] @ {pathlib.Path(wheel).resolve().as_uri()}"
    )
    program = root / "usr" / "local" / "bin" / "aiospawn"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text('#!/bin/bash\nexec python3 -m aiospawn "$@"\n')
    program.chmod(0o755)


def main() -> int:
    wheel, *command = sys.argv[1:]
    with tempfile.TemporaryDirectory() as directory:
        work = pathlib.Path(directory)
        root = work / "root"
        root.mkdir()
        kernel, packages = downloaded(work)
        system(packages, wheel, root)
        (root / "command").write_text(" ".join(command) or "aiospawn doctor && aiospawn demo --commands 100")
        (root / "init").write_text(FIRST)
        (root / "init").chmod(0o755)
        with (work / "initrd").open("wb") as archive:
            files = "\0".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
            pack = ["cpio", "--null", "-o", "-H", "newc", "--quiet"]
            subprocess.run(pack, cwd=root, input=files.encode(), stdout=archive, check=True)
        emulator = [
            "qemu-system-aarch64",
            *MACHINE,
            "-display",
            "none",
            "-serial",
            "stdio",
            "-kernel",
            kernel,
            "-initrd",
            work / "initrd",
        ]
        shown = run(*emulator, "-append", "console=ttyAMA0 panic=-1 quiet")
        print(shown)
        ended = re.search(r"^exit status (\d+)", shown, re.MULTILINE)
        return int(ended[1]) if ended else 1


if __name__ == "__main__":
    sys.exit(main())
