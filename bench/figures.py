"""What every bench shares: measuring a process, and printing a figure as one JSON line on stdout."""

import json
import os
import platform
import resource
import subprocess
import sys
import time
from dataclasses import dataclass


@dataclass
class Run:
    """One process from start to exit; `rss_bytes` is None where it took no more than this one."""

    seconds: float
    rss_bytes: int | None
    output: str


def say(text):
    print(text, file=sys.stderr, flush=True)


def measure(command, **options):
    """Runs a command to its end. Its peak memory is the kernel's count for that one process, not for its children.

    A child begins as a copy of this process, whose memory is then part of the child's peak: this one must stay small, and
    a peak that is not above its own says nothing.
    """
    floor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    os.sync()  # What earlier runs left to be written is not this run's burden.
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    output, errors = _drain(process)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    code = process.returncode = os.waitstatus_to_exitcode(status)
    if code != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\nended with {code}:\n{errors[-4000:]}")
    return Run(seconds, usage.ru_maxrss * 1024 if usage.ru_maxrss > floor else None, output)


def _drain(process):
    """Both pipes to their ends, without the waiting that communicate() does and wait4 must."""
    from threading import Thread

    errors = []
    reader = Thread(target=lambda: errors.append(process.stderr.read()))
    reader.start()
    output = process.stdout.read()
    reader.join()
    return output, errors[0]


def median(values):
    """The statistics module would do, and take memory that `measure` must not have."""
    ordered = sorted(values)
    middle = ordered[(len(ordered) - 1) // 2 : len(ordered) // 2 + 1]
    return sum(middle) / len(middle)


def machine():
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as info:
            model = next(line.split(":", 1)[1].strip() for line in info if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB"


def commit():
    def git(*words):
        return subprocess.run(["git", *words], capture_output=True, text=True).stdout.strip()

    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("-dirty" if git("status", "--porcelain", "-uno") else "")


def emit(bench, figure, engine, *, seconds, rows, value, unit, ratio=None, rss_bytes=None):
    """`ratio` is peer divided by ours, so that above 1 ours is faster; None on our own line."""
    line = {
        "bench": bench,
        "figure": figure,
        "engine": engine,
        "seconds": round(seconds, 4),
        "rows": rows,
        "value": round(value, 3),
        "unit": unit,
        "ratio": None if ratio is None else round(ratio, 3),
        "rss_bytes": rss_bytes,
        "machine": machine(),
        "commit": commit(),
    }
    print(json.dumps(line), flush=True)
