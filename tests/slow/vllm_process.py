"""vLLM's OpenAI-compatible server as a child process: started on a free loopback port, waited for, ended.

Owns the process and its group, and ends nothing else. Knows no adapter.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

SERVED_NAME = "student"
READY_S, GOODBYE_S = 180.0, 30.0
FLAGS = ["--dtype", "bfloat16", "--enforce-eager", "--max-num-seqs", "4", "--enable-prefix-caching", "--enable-prompt-tokens-details"]
ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}


class VllmProcess:
    """A running server. `url` ends in /v1."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self._process, self._root, self._log = process, f"http://127.0.0.1:{port}", log

    @property
    def url(self) -> str:
        """The base URL for OpenAI clients."""
        return f"{self._root}/v1"

    def wait_until_ready(self) -> None:
        """Return when it takes calls. Raises RuntimeError with the end of its log if it ends or takes too long."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        give_up = time.monotonic() + READY_S
        while time.monotonic() < give_up and not self._has_ended():
            with contextlib.suppress(OSError), direct.open(f"{self._root}/health", timeout=5) as answer:
                if answer.status == 200:
                    return
            time.sleep(0.5)
        what = "ended before it was ready" if self._has_ended() else f"takes no calls after {READY_S:.0f} s"
        last = "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:])
        raise RuntimeError(f"vLLM {what}; its log is {self._log} and ends so:\n{last}")

    def kill(self) -> None:
        """End it at once, with its engine process."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """Ask it to end, then make sure that nothing of it is left. Safe to call after `kill`."""
        if self._process.returncode is not None:
            return
        os.kill(self._process.pid, signal.SIGTERM)
        give_up = time.monotonic() + GOODBYE_S
        while time.monotonic() < give_up and not self._has_ended():
            time.sleep(0.1)
        self.kill()

    def _has_ended(self) -> bool:
        """Whether the first process has ended. It is left a zombie, so that its number, its group's too, is nobody else's until `kill`."""
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


@contextlib.contextmanager
def serving(python: Path, directory: Path, log: Path, *, context_tokens: int) -> Iterator[VllmProcess]:
    """Serve a model directory under the name SERVED_NAME while the block runs; `log` is overwritten. Raises RuntimeError."""
    port = _free_port()
    command: list[str | Path] = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", directory]
    command += ["--served-model-name", SERVED_NAME, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--max-model-len", str(context_tokens), *FLAGS]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=os.environ | ENVIRONMENT,
            cwd=directory,  # so that nothing of this project can be imported by accident
            start_new_session=True,
        )
    server = VllmProcess(process, port, log)
    try:
        server.wait_until_ready()
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
