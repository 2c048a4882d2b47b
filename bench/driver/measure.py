"""Runs the peers' programs: timing pass and counting pass in processes of their own, peers interleaved."""

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_SECONDS = 120
# The order of the report's columns.
PEERS = ["gyre", "libuv", "asio", "libevent", "libev", "kj", "raw_epoll"]
# Beside the peers: what the machine's own primitives cost.
PROGRAMS = PEERS + ["floors"]


@dataclass
class Program:
    path: Path
    version: str
    offers: list  # of (workload, variant)


def find_programs(directory, wanted):
    programs = {}
    for peer in PROGRAMS:
        path = directory / f"bench_{peer}"
        if not path.exists() or (wanted and peer not in wanted and peer not in ("gyre", "floors")):
            continue
        lines = subprocess.run([path, "list"], capture_output=True, text=True, check=True).stdout.splitlines()
        offers = [tuple(line.split(" ", 1)) for line in lines[1:]]
        programs[peer] = Program(path, lines[0].split(" ", 1)[1], offers)
    return programs


def parse_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


class Progress:
    """One line that is written over and over, where somebody watches."""

    def __init__(self, total):
        self.total, self.done, self.shown = total, 0, sys.stderr.isatty()

    def step(self, what):
        self.done += 1
        if self.shown:
            print(f"\r\033[K  {self.done}/{self.total}  {what}", end="", file=sys.stderr, flush=True)

    def clear(self):
        if self.shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def run_process(program, row, variant, quick, counting):
    """The process's JSON line, or why there is none."""
    values = dict(row.params)
    if variant:
        values["variant"] = variant
    n = row.quick_n if quick or (counting and not row.counts_need_n) else row.n
    if row.workload == "tcp_echo":
        values["ms"] = 400 if quick or counting else 2500
    if n:
        values["n"] = n
    command = [str(program.path), row.workload] + [f"{key}={value}" for key, value in values.items()]
    environment = dict(os.environ)
    if counting:
        environment["LD_PRELOAD"] = str(program.path.parent / "interposer.so")
    try:
        process = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        return None, f"took longer than {TIMEOUT_SECONDS} s"
    lines = parse_lines(process.stdout)
    if process.returncode != 0 or len(lines) != 1:
        return None, f"exit status {process.returncode}: {process.stderr.strip()[-200:]}"
    return lines[0], None


def measure_row(row, programs, repetitions, quick):
    entries = [{"peer": peer, "variant": variant, "aside": (peer, variant) in row.aside, "samples": [], "extras": []}
               for peer, program in programs.items()
               for workload, variant in program.offers if workload == row.workload]
    if not entries:
        return None
    if row.unit == "bytes":
        repetitions = 0
    progress = Progress(len(entries) * (repetitions + 1))
    for repetition in range(repetitions):
        # Another peer begins each time, so that none is always first after a pause.
        for entry in entries[repetition % len(entries):] + entries[:repetition % len(entries)]:
            if "failure" in entry:
                continue
            progress.step(f"{row.workload} {entry['peer']} {entry['variant']}")
            line, failure = run_process(programs[entry["peer"]], row, entry["variant"], quick, counting=False)
            if failure:
                entry["failure"] = failure
            else:
                entry["samples"].append(line["ns_per_op"])
                entry["extras"].append(line["extra"])
                entry["ops"] = line["ops"]
    for entry in entries:
        if "failure" not in entry:
            progress.step(f"{row.workload} {entry['peer']} {entry['variant']} (counting)")
            line, failure = run_process(programs[entry["peer"]], row, entry["variant"], quick, counting=True)
            add_counts(entry, line, failure)
        finish(entry)
    progress.clear()
    return {"workload": row.workload, "unit": row.unit, "params": {key: str(value) for key, value in row.params.items()},
            "entries": entries}


COUNTED = ["polls", "reads", "writes", "epoll_ctls", "timerfd_settimes"]


def add_counts(entry, line, failure):
    if failure:
        entry["counting_failure"] = failure
        return
    if "live_bytes_per_op" in line["extra"]:
        entry["samples"] = [line["extra"]["live_bytes_per_op"]]
        return
    entry["allocs_per_op"] = line["allocs_per_op"]
    entry["bytes_per_op"] = line["bytes_per_op"]
    entry["calls_per_op"] = {name: line["extra"][name] for name in COUNTED}


def finish(entry):
    extras = entry.pop("extras")
    if not entry["samples"]:
        return
    entry["ns_per_op"] = {"median": statistics.median(entry["samples"]), "min": min(entry["samples"]),
                          "max": max(entry["samples"])}
    entry["extra"] = {name: statistics.median(extra[name] for extra in extras) for name in (extras or [{}])[0]
                      if name != "rounds"}
