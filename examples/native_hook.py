"""A C function that runs in the child just before its program: what no option offers, without fork or Python there.

This one switches address space randomization off, under the contract of docs/options.md: no C library, raw system calls,
nothing written but its own stack. Needs a C compiler.
"""

import asyncio
import pathlib
import tempfile

import cffi  # type: ignore[import-untyped]

import aiospawn

SOURCE = """
#if defined(__x86_64__)
static long set_personality(long persona) {
  long result = 135; /* __NR_personality, as in <asm/unistd.h> */
  __asm__ volatile("syscall" : "+a"(result) : "D"(persona) : "rcx", "r11", "memory");
  return result;
}
#elif defined(__aarch64__)
static long set_personality(long persona) {
  register long number __asm__("x8") = 92, result __asm__("x0") = persona;
  __asm__ volatile("svc 0" : "+r"(result) : "r"(number) : "memory");
  return result;
}
#endif

int become(void *persona) {
  long before = set_personality((long)persona);
  return before < 0 ? (int)-before : 0; /* an errno, or none */
}
"""
FLAGS = ["-O1", "-shared", "-fPIC", "-nostdlib", "-ffreestanding", "-fno-stack-protector"]
ADDR_NO_RANDOMIZE = 0x0040000

ffi = cffi.FFI()
ffi.cdef("int become(void *persona);")


async def compiled(directory: pathlib.Path) -> str:
    compiler = await aiospawn.create_subprocess_exec(
        "cc", *FLAGS, "-x", "c", "-", "-o", directory / "hook.so", stdin=aiospawn.PIPE
    )
    await compiler.communicate(SOURCE.encode())
    if compiler.returncode != 0:
        raise SystemExit("the compiler failed")
    return str(directory / "hook.so")


async def personality(hook: aiospawn.NativeHook | None) -> str:
    child = await aiospawn.create_subprocess_exec("cat", "/proc/self/personality", stdout=aiospawn.PIPE, hook=hook)
    output, _ = await child.communicate()
    return output.decode().strip()


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        library = ffi.dlopen(await compiled(pathlib.Path(directory)))  # stays loaded as long as it may be called
    hook = aiospawn.NativeHook(ffi.addressof(library, "become"), ADDR_NO_RANDOMIZE)
    print("without the hook:", await personality(None))
    print("with it:", await personality(hook))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=aiospawn.new_event_loop) as runner:
        runner.run(main())
