"""Nexmark queries over the same NDJSON files: Martlet streaming with two shards, and peers with two threads.

Runs are interleaved (ours, peer, ours, peer, …), so that a noisy machine disturbs both alike; a ratio is the median of
the ratios of neighbouring runs. Before anything is printed, the engines' outputs are compared as multisets of rows.
"""

import argparse
import glob
import json
import os
import shutil
import string
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from figures import emit, measure, median, say
from queries import QUERIES

HERE = os.path.relpath(os.path.dirname(__file__) or ".")
BUILD = ".build/bench"
MARTLET = os.environ.get("MARTLET_BINARY", ".build/release/martlet")

def main():
    arguments = parse_arguments()
    data = arguments.data or generate(arguments.events)
    streams = {name + "s": link_stream(data, name) for name in ("bid", "auction", "person")}
    rows = count_lines(streams["bids"])
    count_lines(streams["auctions"])
    count_lines(streams["persons"])
    engines = {"martlet": run_martlet} if arguments.ours else {}
    if arguments.durable:
        engines["martlet --data-dir"] = run_durable
    engines |= {name: PEERS[name] for name in arguments.peers}
    for query in arguments.queries:
        able = {name: run for name, run in engines.items() if can_express(name, query)}
        runs = {name: [] for name in able}
        for turn in range(arguments.runs):
            for name, run in able.items():
                runs[name].append(run_once(name, run, query, streams))
                say(f"{query} {name}: {runs[name][-1]['seconds']:.2f} s")
            if turn == 0 and able:
                compare(query, list(able))
        shutil.rmtree(f"{BUILD}/out", ignore_errors=True)
        if not arguments.compare:
            report(query, rows, runs)


def parse_arguments():
    words = lambda text: [word for word in text.split(",") if word]
    parser = argparse.ArgumentParser(prog="./dev bench nexmark", description=__doc__.split("\n")[0])
    parser.add_argument("--events", type=int, default=10_000_000, help="persons, auctions and bids together (1 : 3 : 46)")
    parser.add_argument("--peers", type=words, default=[], help="duckdb,flink")
    parser.add_argument("--queries", type=words, default=list(QUERIES), help=",".join(QUERIES))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--data", help="a folder that has person-, auction- and bid-*.ndjson already")
    parser.add_argument("--only-peers", dest="ours", action="store_false", help="leave Martlet out")
    parser.add_argument("--durable", action="store_true", help="also Martlet with --data-dir: commits, synced, and checkpoints")
    parser.add_argument("--compare", action="store_true", help="hold each result against DuckDB's, once, and print no figures")
    arguments = parser.parse_args()
    if arguments.compare:
        arguments.peers, arguments.runs = ["duckdb"], 1
    for word in [*(set(arguments.peers) - set(PEERS)), *(set(arguments.queries) - set(QUERIES))]:
        parser.error(f"unknown: {word}")
    return arguments


# --- Input ---------------------------------------------------------------------------------------------------------


def generate(events):
    """Two equal files per stream, made once; the folder appears only when it is complete."""
    folder = f"{BUILD}/nexmark-{events}"
    if not os.path.isdir(folder):
        say(f"Generating {events} events into {folder}")
        partial = folder + ".partial"
        shutil.rmtree(partial, ignore_errors=True)
        os.makedirs(partial)
        options = ["--events", events, "--seed", 1, "--files", 2, "--disorder", "2s", "--out", partial]
        measure([MARTLET, "generate", "nexmark", *map(str, options)])
        os.rename(partial, folder)
    return folder


def link_stream(data, name):
    """A stream's files in a folder of their own, since Flink reads a folder, not a pattern."""
    folder = f"{data}/{name}s"
    os.makedirs(folder, exist_ok=True)
    for path in glob.glob(f"{data}/{name}-*.ndjson"):
        linked = os.path.join(folder, os.path.basename(path))
        if not os.path.exists(linked):
            os.link(path, linked)
    if not os.listdir(folder):
        raise SystemExit(f"{data} has no {name}-*.ndjson")
    return os.path.abspath(folder)


def count_lines(folder):
    """Also brings the files into the page cache, where every engine finds them."""
    total = 0
    for path in glob.glob(f"{folder}/*.ndjson"):
        with open(path, "rb", buffering=0) as file:
            while block := file.read(1 << 16):
                total += block.count(b"\n")
    return total


# --- Engines: each runs one query and answers a figure's seconds and memory -------------------------------------------


def can_express(name, query):
    """A peer leaves out the queries that it has no script for."""
    able = name not in PEERS or os.path.exists(f"{HERE}/{name}/{query}.sql")
    if not able:
        say(f"{name} cannot express {query}")
    return able


def run_once(name, run, query, streams):
    out = f"{BUILD}/out/{query}-{name}"
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    return run(query, streams, os.path.abspath(out))


def run_durable(query, streams, out):
    """Every guarantee on: each tick is a commit, synced before its output counts, and the state is saved every 10 s."""
    return run_martlet(query, streams, out, "--data-dir", f"{out}/data")


def run_martlet(query, streams, out, *words):
    script = f"{HERE}/{query}.sql"
    options = [word for name, folder in streams.items() for word in ("-v", f"{name}={folder}/*.ndjson")]
    options += ["-v", f"out={out}/out.ndjson", "--shards", "2", "--out-dir", f"{out}/rest"]
    run = measure([MARTLET, "run", script, *options, *words])
    return {"seconds": run.seconds, "rss_bytes": run.rss_bytes}


def run_duckdb(query, streams, out):
    inputs = {name: f"{folder}/*.ndjson" for name, folder in streams.items()}
    script = fill_in(f"{HERE}/duckdb/{query}.sql", out, **inputs, out=f"{out}/out.ndjson")
    run = measure([sys.executable, f"{HERE}/duckdb_script.py", script])
    return {"seconds": json.loads(run.output)["seconds"], "rss_bytes": run.rss_bytes}


def run_flink(query, streams, out):
    """`seconds` is the whole process, `job_seconds` the job by Flink's own count."""
    script = fill_in(f"{HERE}/flink/{query}.sql", out, **streams, out=f"{out}/parts")
    opens = ["java.lang", "java.lang.invoke", "java.util", "java.util.concurrent", "java.net", "java.io", "java.time", "java.nio"]
    options = [word for package in opens for word in ("--add-opens", f"java.base/{package}=ALL-UNNAMED")]
    classes = f"{BUILD}/flink-classes:{os.environ['MARTLET_FLINK_JARS']}/*"
    run = measure(["java", *options, "-Xmx12g", "-cp", classes, "FlinkScript", script])
    job = json.loads(run.output.strip().splitlines()[-1])
    return {"seconds": run.seconds, "job_seconds": job["seconds"], "rss_bytes": run.rss_bytes}


PEERS = {"duckdb": run_duckdb, "flink": run_flink}


def fill_in(template, folder, **values):
    path = f"{folder}/script.sql"
    with open(template) as source, open(path, "w") as target:
        target.write(string.Template(source.read()).substitute(values))
    return path


# --- Results ---------------------------------------------------------------------------------------------------------


def compare(query, engines):
    """The engines wrote the same rows, in whatever order."""
    columns = json.dumps(QUERIES[query])
    found = {}
    for engine in engines:
        files = output_files(f"{BUILD}/out/{query}-{engine}", engine)
        found[engine] = tuple(json.loads(measure([sys.executable, f"{HERE}/outcome.py", columns, *files]).output))
    if len(set(found.values())) > 1:
        raise SystemExit(f"{query}: results differ (rows, hash): {found}")
    say(f"{query}: {', '.join(engines)} agree on {found[engines[0]][0]} rows")


def output_files(folder, engine):
    if engine == "flink":
        return [path for path in glob.glob(f"{folder}/parts/*") if os.path.getsize(path) > 0]
    return [path for path in [f"{folder}/out.ndjson"] if os.path.getsize(path) > 0]


def report(query, rows, runs):
    ours = [run["seconds"] for run in runs.get("martlet", [])]
    for name, answers in runs.items():
        memory = max((answer["rss_bytes"] for answer in answers if answer["rss_bytes"]), default=None)
        variants = {name: "seconds"}
        if name == "flink":
            variants = {"flink": "seconds", "flink without start-up": "job_seconds"}
        for engine, field in variants.items():
            theirs = [answer[field] for answer in answers]
            seconds = median(theirs)
            ratio = None
            if ours and name != "martlet":
                ratio = median(peer / our for peer, our in zip(theirs, ours))
            emit("nexmark", query, engine, seconds=seconds, rows=rows, value=rows / seconds, unit="rows/s", ratio=ratio,
                 rss_bytes=memory)


main()
