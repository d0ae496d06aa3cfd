"""A PostgreSQL server of one's own, for tools that need another process beside Martlet. See `start_postgres` in ./dev for tests'."""

import os
import shutil
import signal
import subprocess
import time


class PostgresServer:
    """On a socket in `folder`, which it makes, and on a port of the loopback if one is given."""

    def __init__(self, binaries, folder, port=None):
        self.binaries, self.folder, self.port = binaries, folder, port
        os.makedirs(folder)
        self.user = None
        if os.getuid() == 0:
            # PostgreSQL refuses to run as root, so root lends it another user.
            self.user = "postgres" if subprocess.run(["id", "postgres"], capture_output=True).returncode == 0 else "nobody"
            shutil.chown(folder, self.user)
        self._run("initdb", "-D", f"{folder}/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        self.start()

    def _words(self, program, *words):
        prefix = ["runuser", "-u", self.user, "--"] if self.user else []
        return prefix + [f"{self.binaries}/{program}", *words]

    def _run(self, program, *words):
        subprocess.run(self._words(program, *words), check=True, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def start(self):
        listens = f"-c listen_addresses=127.0.0.1 -c port={self.port}" if self.port else "-c listen_addresses=''"
        self._run("pg_ctl", "-D", f"{self.folder}/data", "-l", f"{self.folder}/log", "-w", "-o",
                  f"{listens} -c unix_socket_directories={self.folder}", "start")

    def kill(self):
        with open(f"{self.folder}/data/postmaster.pid") as file:
            leader = int(file.readline())
        # Backends notice by themselves, and the next start waits for them.
        os.kill(leader, signal.SIGKILL)
        time.sleep(0.3)
        for _ in range(50):
            try:
                return self.start()
            except subprocess.CalledProcessError:
                time.sleep(0.2)
        raise SystemExit("PostgreSQL does not come back")

    def stop(self):
        subprocess.run(self._words("pg_ctl", "-D", f"{self.folder}/data", "-m", "immediate", "-s", "-w", "stop"), cwd="/",
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
