"""Runs what the documents show, and compares it with what they say comes out. Called by `./dev docs [FILE…]`.

A fence's first line says what is done with a block (see docs/decisions/0001-records.md for one in use):

    sh run [exit=N]        run by `sh -eu`; must end with N (0 unless said)
    sql run [exit=N]       given to `martlet run` as a file
    sql check [exit=N]     given to `martlet validate`
    sql|sh|json… file=NAME written to NAME, for later blocks to use
    output                 what the block before it must have printed on stdout; in it … stands for any text, and a line
                           that is only … for any lines
    sh|sql skip            shown only: it needs what a test cannot have

A block of `sh` or `sql` that says none of these is an error: a document shows nothing untested by accident. The blocks of
one document run in order in one scratch folder, where examples/ and docs/ are the repository's and `martlet` is on the
path. UPDATE_GOLDEN=1 writes what was printed into output blocks that have no … in them.
"""

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MARTLET = Path(os.environ.get("MARTLET_BINARY") or ROOT / ".build/release/martlet").resolve()
SECONDS_MAX = 120


@dataclass
class Block:
    """A fenced block: `words` of its first line, its text, and the line on which the fence opens."""

    words: list
    text: str
    line: int
    output: "Block" = None
    flags: dict = field(default_factory=dict)

    def __post_init__(self):
        self.kind = self.words[0] if self.words else ""
        self.flags = dict(word.partition("=")[::2] for word in self.words[1:])


def main():
    documents = [Path(name).resolve() for name in sys.argv[1:]] or [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
    failures, ran = [], 0
    for document in documents:
        blocks = read_blocks(document)
        ran += sum(1 for block in blocks if {"run", "check"} & block.flags.keys())
        failures += run_document(document, blocks)
    for failure in failures:
        print(failure, file=sys.stderr)
    print(f"{len(documents)} documents, {ran} blocks run, {len(failures)} failed")
    return 1 if failures else 0


def read_blocks(document):
    blocks, fence, start, text = [], None, 0, []
    for number, line in enumerate(document.read_text().splitlines(), 1):
        opened = re.match(r"^(`{3,})(.*)$", line)
        if fence is None and opened:
            fence, words, start, text = opened[1], opened[2].split(), number, []
        elif fence is not None and line.strip() == fence:
            blocks.append(Block(words, "".join(f"{line}\n" for line in text), start))
            fence = None
        elif fence is not None:
            text.append(line)
    for before, block in zip(blocks, blocks[1:]):
        if block.kind == "output":
            before.output = block
    return blocks


def run_document(document, blocks):
    failures, updates = [], {}
    with tempfile.TemporaryDirectory(prefix="martlet-docs-") as scratch:
        for folder in ["examples", "docs"]:
            os.symlink(ROOT / folder, Path(scratch) / folder)
        for block in blocks:
            problem = run_block(block, Path(scratch), updates)
            if problem:
                failures.append(f"{os.path.relpath(document, ROOT)}:{block.line}: {problem}")
    if updates:
        rewrite(document, updates)
    return failures


def run_block(block, scratch, updates):
    """None, or what is wrong."""
    if "file" in block.flags:
        (scratch / block.flags["file"]).write_text(block.text)
    command = command_of(block, scratch)
    if command is None:
        if block.kind in ("sh", "sql") and not {"file", "skip"} & block.flags.keys():
            return f"a block of {block.kind} must say run, check, file=NAME or skip"
        return None
    environment = os.environ | {"PATH": f"{MARTLET.parent}:{os.environ['PATH']}", "NO_COLOR": "1", "TZ": "UTC"}
    try:
        done = subprocess.run(
            command, cwd=scratch, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS_MAX)
    except subprocess.TimeoutExpired:
        return f"did not end within {SECONDS_MAX} seconds"
    printed = done.stdout.decode(errors="replace")
    if done.returncode != int(block.flags.get("exit", 0)):
        return f"ended with {done.returncode}:\n{printed}{done.stderr.decode(errors='replace')}"
    return compare(block.output, printed, updates) if block.output else None


def command_of(block, scratch):
    if block.kind == "sh" and "run" in block.flags:
        return ["sh", "-euc", block.text]
    if block.kind == "sql" and {"run", "check"} & block.flags.keys():
        path = scratch / f"block-{block.line}.sql"
        path.write_text(block.text)
        return [str(MARTLET), "run" if "run" in block.flags else "validate", path.name]
    return None


def compare(expected, printed, updates):
    pattern = "".join(r"(?:.*\n)*?" if line == "…" else line_pattern(line) for line in expected.text.splitlines())
    if re.fullmatch(pattern, printed):
        return None
    if os.environ.get("UPDATE_GOLDEN") == "1" and "…" not in expected.text:
        updates[expected.line] = printed
        return None
    return f"printed\n{printed}instead of\n{expected.text}"


def line_pattern(line):
    return ".*?".join(re.escape(part) for part in line.split("…")) + r"\n"


def rewrite(document, updates):
    lines, kept, skipping = document.read_text().splitlines(keepends=True), [], None
    for number, line in enumerate(lines, 1):
        if skipping and line.rstrip("\n") == skipping:
            skipping = None
        if skipping is None:
            kept.append(line)
        if number in updates:
            kept.append(updates[number])
            skipping = re.match(r"^`+", line)[0]
    document.write_text("".join(kept))


sys.exit(main())
