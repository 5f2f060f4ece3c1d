"""The measured run is the program's own, and the virtual clock that it is compared with costs nothing but waiting."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from evals import growth
from evals.loop_speed import bound_s, run_once
from evals.virtual_clock import run_virtually
from strategist.models import open as opened

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _own_register(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "_adapters", dict(opened._adapters))


def test_waiting_takes_virtual_time_and_computing_takes_none() -> None:
    async def work() -> tuple[float, int]:
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def one(seconds: float) -> int:
            await asyncio.sleep(seconds)
            await asyncio.to_thread(time.sleep, 0.01)
            return 1

        done = await asyncio.gather(one(500.0), one(1000.0), one(500.0))
        return loop.time() - began, sum(done)

    assert run_virtually(work()) == (1000.0, 3)


def test_a_thread_is_waited_for_before_the_clock_moves() -> None:
    async def work() -> list[str]:
        order: list[str] = []

        async def thread() -> None:
            await asyncio.to_thread(time.sleep, 0.05)
            order.append("thread")

        async def timer() -> None:
            await asyncio.sleep(0.001)
            order.append("timer")

        await asyncio.gather(timer(), thread())
        return order

    assert run_virtually(work()) == ["thread", "timer"]


def test_the_same_is_learned_under_both_clocks_and_at_any_width() -> None:
    ideal = run_once(run_virtually, in_flight=4, conversations=2)
    free = run_once(run_virtually, in_flight=1000, conversations=2)
    real = run_once(asyncio.run, in_flight=4, conversations=2, latency_s=0.0)
    assert ideal.learned == free.learned == real.learned
    assert ideal.calls == free.calls == real.calls > 20
    assert 0 < free.seconds < ideal.seconds
    assert ideal.seconds == pytest.approx(0.5 * round(ideal.seconds / 0.5)), "nothing but calls takes time"
    assert ideal.seconds >= bound_s(ideal.seen.calls, free.seen.seconds, 0.5)


def test_the_command_prints_its_table() -> None:
    code = "from evals.loop_speed import main; main(1, 2, 0.001)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("n = 1 run of ")
    assert ", 64 in flight, seed 0." in lines[0]
    assert [line.split("|")[1].strip() for line in lines[5:11]] == [
        "generate", "coach", "admit", "examine", "whole run, best", "whole run, median",
    ]  # fmt: skip
    assert lines[-1].startswith("CPU a call: best ")


def test_growth_prints_a_row_a_size(capsys: pytest.CaptureFixture[str]) -> None:
    growth.main((1, 2), conversations=2)
    lines = capsys.readouterr().out.splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith(("| 1x", "| 2x"))]
    assert [row[0] for row in rows] == ["1x", "2x", "1x", "2x"]
    assert 0 < int(rows[0][1]) < int(rows[1][1])
    assert all(float(row[6].split()[0]) > 0 for row in rows[:2])
