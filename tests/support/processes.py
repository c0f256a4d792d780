"""Programs in a process of their own, which is ended if it does not end by itself."""

import os
import signal
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]


def output_of(program, limit=60, environment=None):
    """What a program in Python prints; it and what it has started have `limit` seconds."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=TESTS.parent,
        env={**os.environ, "PYTHONPATH": str(TESTS.parent), **(environment or {})},
        start_new_session=True,  # a group of its own, children and all
    )
    try:
        out, errors = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, errors = process.communicate()
        raise AssertionError(f"no end after {limit} s; {out} {errors}") from None
    assert process.returncode == 0, errors
    assert errors == "", errors
    return out
