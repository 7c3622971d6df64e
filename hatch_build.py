"""Compile the native kernels while the package is built; without a compiler, build without them.

Run as a program (`python hatch_build.py`), it compiles them in place.

The kernels are one source compiled once for each instruction set; a set that the compiler does not
know is left out, and the library chooses among the others at run time.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a program, where hatchling is not needed
    BuildHookInterface = object  # type: ignore[assignment, misc]

NATIVE = Path("seqcli", "nn", "native")
LIBRARY = NATIVE / "_kernels.so"
MIRRORED = ("interface", "training", "sru", "mogrifier")  # headers, by seqcli/nn/native/library.py
FLAGS = ["-std=c++17", "-O3", "-fPIC", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
AVX2 = ["-mavx2", "-mfma"]
AVX512 = [*AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"]
# Best first: the library takes the first that the processor runs.
X86_SETS = {
    "avx512bf16": [*AVX512, "-mavx512bf16"],
    "avx512": AVX512,
    "avx2": AVX2,
    "baseline": [],
}
PORTABLE_SETS: dict[str, list[str]] = {"baseline": []}


class NoLibrary(Exception):
    """Why the kernels could not be compiled, in a few words."""


class KernelBuildHook(BuildHookInterface):
    """Puts the library into wheels, and into the source tree for editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and mark the wheel as one for this platform; or say why not."""
        if self.target_name != "wheel":
            return
        try:
            build_library(Path(self.root))
        except NoLibrary as error:
            self.app.display_warning(notice(error))
            return
        build_data["artifacts"].append(LIBRARY.as_posix())
        build_data["pure_python"] = False
        system = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{system}"


def notice(error: NoLibrary) -> str:
    """The one line that tells a user what a missing library means."""
    return f"seqcli: no native kernels ({error}); recurrent networks will run on torch, slower"


def find_compiler() -> list[str]:
    """The C++ compiler as a command: $CXX, or the first of the usual names."""
    if wanted := os.environ.get("CXX"):
        return wanted.split()
    for name in ("c++", "g++", "clang++"):
        if path := shutil.which(name):
            return [path]
    raise NoLibrary("no C++ compiler found")


def instruction_sets() -> dict[str, list[str]]:
    """Names and compiler flags of the instruction sets of this machine's architecture."""
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    return X86_SETS if x86 else PORTABLE_SETS


def build_library(root: Path, *, extra_flags: tuple[str, ...] = (), to: Path | None = None) -> Path:
    """Compile and link the library unless it is newer than its sources. Raises NoLibrary."""
    library = to or root / LIBRARY
    sources = [*(root / NATIVE).glob("*.cpp"), *(root / NATIVE).glob("*.h"), Path(__file__)]
    newest = max(source.stat().st_mtime for source in sources)
    if library.exists() and library.stat().st_mtime > newest:
        return library
    compiler = [*find_compiler(), *FLAGS, *extra_flags]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:

        def compile_one(source: str, output: str, flags: list[str]) -> subprocess.CompletedProcess:
            command = [*compiler, *flags, "-c", str(root / NATIVE / source)]
            return run([*command, "-o", str(Path(folder, output))])

        sets = instruction_sets()
        kernels = pool.map(
            lambda name: compile_one(
                "kernels.cpp", f"{name}.o", [f"-DSEQCLI_ISA={name}", *sets[name]]
            ),
            sets,
        )
        threads = pool.submit(compile_one, "threads.cpp", "threads.o", [])
        compiled = {name: result for name, result in zip(sets, kernels, strict=True)}
        names = [name for name, result in compiled.items() if result.returncode == 0]
        if "baseline" not in names:
            raise NoLibrary(f"{compiler[0]} failed: {first_line(compiled['baseline'].stderr)}")
        each = "-DSEQCLI_EACH_ISA(DO)=" + " ".join(f"DO({name})" for name in names)
        headers = (root / NATIVE / f"{name}.h" for name in MIRRORED)
        interface = zlib.crc32(b"".join(header.read_bytes() for header in headers))
        known = f"-DSEQCLI_INTERFACE={interface}"
        dispatch = compile_one("dispatch.cpp", "dispatch.o", [each, known])
        for result in (threads.result(), dispatch):
            if result.returncode:
                raise NoLibrary(f"{compiler[0]} failed: {first_line(result.stderr)}")

        objects = [str(path) for path in sorted(Path(folder).glob("*.o"))]
        unfinished = library.with_suffix(f".{os.getpid()}.tmp")
        linked = run([*compiler, "-shared", "-pthread", *objects, "-o", str(unfinished)])
        if linked.returncode:
            raise NoLibrary(f"linking failed: {first_line(linked.stderr)}")
        unfinished.replace(library)  # at once: another process may have the old one open
    return library


def run(command: list[str]) -> subprocess.CompletedProcess:
    """Run a compiler quietly."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise NoLibrary(f"cannot run {command[0]}: {error.strerror}") from error


def first_line(text: str) -> str:
    """The first line of a compiler's complaint."""
    return next((line for line in text.splitlines() if "error" in line), text[:200]).strip()


def main() -> int:
    """Compile in place; 0 even without a library, since the package works without it."""
    try:
        print(build_library(Path(__file__).resolve().parent), file=sys.stderr)
    except NoLibrary as error:
        print(notice(error), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
