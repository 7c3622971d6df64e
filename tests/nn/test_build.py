"""The build of the native library: what it says without one, and what sanitisers find in it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seqcli.nn.native import library, status

pytestmark = pytest.mark.skipif(not status().available, reason=status().reason)
ROOT = Path(__file__).parents[2]


def test_status_says_why_not(monkeypatch):
    load = library.load.__wrapped__
    monkeypatch.setenv("SEQCLI_NATIVE", "0")
    with pytest.raises(library.Unavailable, match="SEQCLI_NATIVE=0"):
        load()
    monkeypatch.delenv("SEQCLI_NATIVE")
    monkeypatch.setenv("SEQCLI_ISA", "mmx")
    with pytest.raises(library.Unavailable, match="mmx"):
        load()
    monkeypatch.setattr(library, "PATH", Path("nowhere.so"))
    with pytest.raises(library.Unavailable, match="not compiled"):
        load()


def build_script():
    specification = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("compiler", "reason"), [("/nowhere/c++", "cannot run"), ("false", "failed")]
)
def test_a_build_without_a_compiler_says_so_in_one_line(monkeypatch, tmp_path, compiler, reason):
    build = build_script()
    monkeypatch.setenv("CXX", compiler)
    with pytest.raises(build.NoLibrary, match=reason) as caught:
        build.build_library(ROOT, to=tmp_path / "kernels.so")
    assert len(build.notice(caught.value).splitlines()) == 1


SANITISED = """
import sys
from pathlib import Path
import pytest
from seqcli.nn.native import library
library.PATH = Path(sys.argv[1])
picked = "torch or shape or paper or rest or bits or refused or inference"
options = ["-q", "-p", "no:cacheprovider", "-o", "timeout=0", "-k", picked]
sys.exit(pytest.main([*options, *sys.argv[2:]]))
"""


@pytest.mark.slow
def test_sanitisers_find_nothing(tmp_path):
    compiler = os.environ.get("CXX", "g++")
    runtimes = [
        subprocess.run(
            [compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    if not all(Path(runtime).is_absolute() for runtime in runtimes):
        pytest.skip("the compiler has no sanitisers")
    flags = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1")
    path = build_script().build_library(ROOT, extra_flags=flags, to=tmp_path / "kernels.so")
    environment = {
        **os.environ,
        "LD_PRELOAD": " ".join(runtimes),
        "ASAN_OPTIONS": "detect_leaks=0",
    }
    files = [
        *(
            Path(__file__).with_name(f"test_{name}.py")
            for name in (
                "native",
                "operators",
                "recurrent",
                "linear",
                "mogrifier",
                "attention",
                "chain",
                "choice",
                "cross",
                "drop",
                "lookup",
                "ngrams",
                "counts",
            )
        ),
        ROOT / "tests" / "test_optimizer.py",
    ]
    done = subprocess.run(
        [sys.executable, "-c", SANITISED, str(path), *map(str, files)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        check=False,
    )
    output = done.stdout[-3000:] + done.stderr[-3000:]
    assert done.returncode == 0, output
    assert "passed" in done.stdout, output
    assert "skipped" not in done.stdout, output
