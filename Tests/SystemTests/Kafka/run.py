"""Runs one group of cases against a server of their own: see harness.py."""

import importlib
import os
import sys

from harness import Server, run_cases


def main():
    binary, folder, group = sys.argv[1:4]
    cases = importlib.import_module(group)
    os.makedirs(folder, exist_ok=True)
    server = Server(binary, folder, getattr(cases, "SCRIPT", None), **getattr(cases, "SETTINGS", {}))
    try:
        run_cases(cases.CASES, server, sys.argv[4] if len(sys.argv) > 4 else None)
    finally:
        code = server.stop()
    if code != 0:
        sys.exit(f"the server's exit code after SIGTERM: {code}\n{server.tail()}")


if __name__ == "__main__":
    main()
