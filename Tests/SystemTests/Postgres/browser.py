"""A real browser's EventSource, in Debian's chromium without a display."""

import collections
import fcntl
import http.server
import json
import os
import select
import shutil
import subprocess
import tempfile
import threading
import time

from events import current, held, sql

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")

# What a page does that follows a view: it keeps what comes, and where it was told that something is missing.
FOLLOW = """
    window.told = [], window.names = [], window.opened = 0, window.failed = 0;
    const source = new EventSource("PLACE/v1/views/pages/changes");
    source.onopen = () => opened++;
    source.onerror = () => failed++;
    source.onmessage = event => told.push([event.lastEventId, JSON.parse(event.data)]);
    for (const name of ["snapshot", "live", "gap", "end"]) source.addEventListener(name, () => names.push(name));
    "following"
"""


def browser_path():
    return next(filter(None, map(shutil.which, NAMES)))


class Browser:
    """Spoken to over pipes, in the DevTools protocol: JSON that ends with a zero byte."""

    def __init__(self, path):
        self.profile = tempfile.mkdtemp(prefix="martlet-browser-")
        # Out of the way of 3 and 4, where the browser looks for them.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for pair in (os.pipe(), os.pipe()) for end in pair]
        theirs_in, self.out, self.into, theirs_out = ends

        def give():
            os.dup2(theirs_in, 3)
            os.dup2(theirs_out, 4)

        words = [path, "--headless", "--remote-debugging-pipe", f"--user-data-dir={self.profile}", "--disable-gpu", "--no-first-run",
                 "--disable-dev-shm-usage", "--no-proxy-server"]
        if os.geteuid() == 0:
            words.append("--no-sandbox")
        self.process = subprocess.Popen(words, preexec_fn=give, pass_fds=(3, 4), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        self.held, self.number, self.session = b"", 0, None

    def call(self, method, seconds=30, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters} | ({"sessionId": self.session} if self.session else {})
        os.write(self.out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + seconds
        while True:
            while b"\0" in self.held:
                text, _, self.held = self.held.partition(b"\0")
                answer = json.loads(text)
                if answer.get("id") == self.number:
                    if "error" in answer:
                        raise OSError(f"{method}: {answer['error']}")
                    return answer["result"]
            if not select.select([self.into], [], [], max(deadline - time.monotonic(), 0))[0]:
                raise OSError(f"{method}: the browser does not answer")
            piece = os.read(self.into, 1 << 16)
            if not piece:
                raise OSError(f"{method}: the browser is gone")
            self.held += piece

    def open(self, address):
        self.session = None
        target = self.call("Target.createTarget", url=address)["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        # Its scripts are the page's own once it is there.
        if not self.wait("document.readyState == 'complete' && location.href", lambda place: place == address):
            raise OSError(f"{address} does not open")

    def value(self, script):
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in result:
            raise OSError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait(self, script, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition(self.value(script)):
                return True
            time.sleep(0.05)
        return False

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.out)
        os.close(self.into)
        shutil.rmtree(self.profile, ignore_errors=True)


def event_source(server, problems):
    """a page's EventSource follows a view through two ends of the server, and misses nothing and gets nothing twice"""
    sql(server, "CREATE TABLE clicks (id INT PRIMARY KEY, page TEXT); "
        "CREATE MATERIALIZED VIEW pages AS SELECT page, count(*) AS n FROM clicks GROUP BY page; "
        "CREATE SUBSCRIPTION clicked FROM pages WITH (retention = '1 hour'); INSERT INTO clicks VALUES (0, 'a'); FLUSH")
    number = 0

    def write():
        nonlocal number
        for _ in range(5):
            number += 1
            sql(server, f"INSERT INTO clicks VALUES ({number}, 'p{number % 3}'); FLUSH")

    def follows():
        expected = current(server, "pages")
        return browser.wait("told", lambda told: held([change for _, change in told]) == expected)

    browser = Browser(browser_path())
    try:
        browser.open(f"http://{server.http}/healthz")
        browser.value(FOLLOW.replace("PLACE", ""))
        problems.check(browser.wait("names", lambda names: "live" in names), "never live")
        write()
        problems.check(follows(), "the changes do not come")
        problems.check(server.stop() == 0, "the server did not stop")
        server.start()
        write()
        problems.check(follows(), "after a restart the changes do not come")
        server.process.kill()
        server.process.wait()
        server.start()
        write()
        problems.check(follows(), "after a kill the changes do not come")
        problems.equal(browser.value("opened"), 3, "how often it opened the stream")
        names = collections.Counter(browser.value("names"))
        problems.check(names["snapshot"] == 1 and names["live"] == 1 and not names["gap"], f"what it was told besides: {names}")
        told = browser.value("told")
        places = [tuple(map(int, place.split("."))) for place, _ in told if "." in place]
        problems.check(places == sorted(set(places)), f"places: {places}")
        # An upsert is two changes, a first row one: so many there are, and none came twice.
        problems.equal(len(told), 1 + 3 + 2 * (number - 3), "changes")
    finally:
        browser.close()


class Site:
    """A page of another server, at `origin`."""

    def __init__(self):
        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(b"<p>A dashboard")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def guests(server, problems):
    """a page of a site that --http-origin names may follow a view and ask; one of another site may not"""
    sites = [Site(), Site()]
    browser = Browser(browser_path())
    try:
        server.stop()
        server.words = ["--http-origin", sites[0].origin]
        server.start()
        for site, may in zip(sites, (True, False)):
            browser.open(site.origin + "/")
            browser.value(FOLLOW.replace("PLACE", f"http://{server.http}"))
            problems.check(browser.wait("[names.includes('live'), failed]", lambda found: found[0] or found[1]), "neither live nor refused")
            problems.equal(browser.value("names.includes('live')"), may, f"events for {site.origin}")
            asked = f"fetch('http://{server.http}/v1/sql', {{method: 'POST', headers: {{'Content-Type': 'application/json'}}, " \
                "body: '{\"sql\": \"SELECT 1 AS one\"}'}).then(answer => answer.json(), error => 'refused').then(answer => window.answer = answer)"
            browser.value(f"{asked}; 0")
            problems.check(browser.wait("window.answer", lambda answer: answer is not None), "no answer")
            answer = browser.value("window.answer")
            problems.check((answer != "refused" and answer["results"][0]["rows"] == [{"one": 1}]) == may, f"an answer for {site.origin}: {answer}")
    finally:
        browser.close()
        for site in sites:
            site.close()


CASES = [event_source, guests]
