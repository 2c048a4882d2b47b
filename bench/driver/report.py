"""report.json, and report.md made from it."""

import json

from . import plot, rows
from .measure import COUNTED, PEERS


def save(build, results):
    (build / "report.json").write_text(json.dumps(results, indent=1) + "\n")


def load(build):
    return json.loads((build / "report.json").read_text())


# --- Comparing ---


def measured(row, peer):
    return [entry for entry in row["entries"] if entry["peer"] == peer and "ns_per_op" in entry]


def best_of(entries):
    return min(entries, key=lambda entry: entry["ns_per_op"]["median"], default=None)


def best_peer(row):
    """The fastest library, whichever of its variants that is."""
    return best_of([entry for entry in row["entries"] if "ns_per_op" in entry and entry["peer"] != "gyre"
                    and entry["peer"] not in rows.FLOORS and not entry["aside"]])


def name_of(entry):
    return entry["peer"] + (f" {entry['variant']}" if entry["variant"] else "")


def ratio_of(entry, best):
    return entry["ns_per_op"]["median"] / best["ns_per_op"]["median"]


def overlaps(entry, best):
    a, b = entry["ns_per_op"], best["ns_per_op"]
    return a["min"] <= b["max"] and b["min"] <= a["max"]


def verdict(entry, best):
    """**bold** where gyre wins, marked where it loses; ~ where the ranges overlap."""
    if best is None:
        return "-"
    ratio = ratio_of(entry, best)
    unsure = " ~" if overlaps(entry, best) else ""
    shown = f"{ratio:.2f}"
    return f"**{shown}**{unsure}" if ratio < 1 else f"{shown} loses{unsure}"


# --- Text ---


def nanoseconds(value):
    return f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def timing(entry):
    if entry is None:
        return "-"
    ns = entry["ns_per_op"]
    return f"{nanoseconds(ns['median'])} [{nanoseconds(ns['min'])}..{nanoseconds(ns['max'])}]"


def params_text(row):
    return " ".join(f"{key}={value}" for key, value in row["params"].items())


def gyre_params(row, entry):
    return ", ".join(filter(None, [params_text(row), entry["variant"]]))


def per_op(value):
    if value < 0.0005:
        return "0"
    return f"{value:.3f}".rstrip("0").rstrip(".")


def table(header, lines):
    return "\n".join(["| " + " | ".join(header) + " |", "|" + "---|" * len(header)] +
                     ["| " + " | ".join(line) + " |" for line in lines]) + "\n"


def summary_line(row):
    what = f"{row['workload']} {params_text(row)}".strip()
    failed = [f"{name_of(e)} FAILED: {e['failure']}" for e in row["entries"] if "failure" in e]
    gyre, best = next(iter(measured(row, "gyre")), None), best_peer(row)
    unit = row.get("unit", "ns")
    if gyre is None and measured(row, "floors"):
        floors = [f"{nanoseconds(e['ns_per_op']['median'])} ns {e['variant']}" for e in measured(row, "floors")]
        return "; ".join([f"{what:42} floor        {', '.join(floors)}"] + failed)
    if gyre is None or best is None:
        return "; ".join([f"{what:42} nothing to compare"] + failed)
    ratio = ratio_of(gyre, best)
    result = "wins " if ratio < 1 else "LOSES"
    line = (f"{what:42} {result} {ratio:5.2f}  gyre {nanoseconds(gyre['ns_per_op']['median'])} {unit}, "
            f"{name_of(best)} {nanoseconds(best['ns_per_op']['median'])} {unit}")
    return "; ".join([line] + failed)


def startup_lines(startup):
    return [f"startup: {entry['command']:20} {entry['wall_ms']['median']:.1f} ms, "
            f"{entry['max_rss_mib']['median']:.1f} MiB" for entry in startup]


# --- The report ---


def comparison_table(results):
    peers = [peer for peer in PEERS if peer in results["peers"] and peer != "gyre"]
    lines = []
    for row in results["rows"]:
        best = best_peer(row)
        for entry in measured(row, "gyre"):
            cells = []
            for peer in peers:
                fastest = best_of([other for other in measured(row, peer) if not other["aside"]])
                cell = timing(fastest)
                cells.append(cell + (f" {fastest['variant']}" if fastest and fastest["variant"] else ""))
            lines.append([row["workload"], gyre_params(row, entry), timing(entry)] + cells + [verdict(entry, best)])
    return table(["workload", "params", "gyre"] + peers + ["gyre / best library"], lines)


def ratio_table(results):
    """Gyre's time over each peer's."""
    peers = [peer for peer in PEERS if peer in results["peers"] and peer != "gyre"]
    lines = []
    for row in results["rows"]:
        best = best_peer(row)
        for entry in measured(row, "gyre"):
            cells = [verdict(entry, best_of([o for o in measured(row, peer) if not o["aside"]])).replace(" loses", "")
                     for peer in peers]
            against = f"{verdict(entry, best)} ({name_of(best)})" if best else "-"
            lines.append([row["workload"], gyre_params(row, entry)] + cells + [against])
    return table(["workload", "params"] + [f"vs {peer}" for peer in peers] + ["vs the best library"], lines)


def counts_table(results):
    lines = []
    for row in results["rows"]:
        for entry in row["entries"]:
            if "calls_per_op" in entry:
                lines.append([row["workload"], params_text(row), name_of(entry), per_op(entry["allocs_per_op"]),
                              f"{entry['bytes_per_op']:.1f}"] + [per_op(entry["calls_per_op"][c]) for c in COUNTED])
    return table(["workload", "params", "peer", "allocations", "bytes", "poll", "read", "write", "epoll_ctl",
                  "timerfd_settime"], lines)


def details_table(results):
    lines = []
    for row in results["rows"]:
        for entry in row["entries"]:
            if "ns_per_op" in entry:
                extra = ", ".join(f"{name} {nanoseconds(value) if value >= 100 else format(value, '.3g')}"
                                  for name, value in entry["extra"].items())
                aside = " (aside: another kind of operation)" if entry["aside"] else ""
                lines.append([row["workload"], params_text(row), name_of(entry) + aside, timing(entry), extra])
    return table(["workload", "params", "peer", "ns/op", "further figures"], lines)


def failures(results):
    lines = [f"- {row['workload']} {params_text(row)}, {name_of(entry)}: "
             f"{entry.get('failure') or entry['counting_failure']}"
             for row in results["rows"] for entry in row["entries"] if "failure" in entry or "counting_failure" in entry]
    return ["## Failures\n", "\n".join(lines) + "\n"] if lines else []


def startup_table(startup):
    def spread(values, digits):
        return f"{values['median']:.{digits}f} [{values['min']:.{digits}f}..{values['max']:.{digits}f}]"

    return table(["command", "wall time, ms", "largest resident set, MiB"],
                 [[f"`{e['command']}`", spread(e["wall_ms"], 1), spread(e["max_rss_mib"], 1)] for e in startup])


def write(build, results):
    machine = results["machine"]
    quick = "**Made with `--quick`: smaller n, only for a first look.**\n\n" if results["quick"] else ""
    parts = [
        "# Benchmark report\n",
        f"{quick}{machine['when']}, commit {machine['commit']}, {machine['cpus']} x {machine['cpu']}, "
        f"{machine['kernel']}. Load average {machine['load_before'][0]} before, "
        f"{machine.get('load_after', ['?'])[0]} after; {results['repetitions']} repetitions, interleaved; "
        f"{results.get('seconds', '?')} s.\n",
        "Peers: " + ", ".join(f"{peer} ({version})" for peer, version in results["peers"].items()) + ".\n",
        "## Time per operation\n",
        "Nanoseconds (`mem_`: live bytes per object), median [min..max] of the repetitions; of a peer with several variants, the fastest. The last "
        "column is gyre's median over that of the fastest library: **bold** where gyre wins, `loses` where it does "
        "not, `~` where the two ranges overlap, so that another run may turn it. raw_epoll is a floor, not a library, "
        "and is not compared with. Absolute times depend on the machine and its load; compare within a row.\n",
        comparison_table(results),
        "## Gyre's time over each peer's\n",
        "Below 1 gyre is faster.\n",
        ratio_table(results),
    ]
    if results.get("startup"):
        parts += ["## Whole processes\n", startup_table(results["startup"])]
    parts += failures(results)
    for name, svg in plot.plots(results):
        (build / name).write_text(svg)
        parts.append(f"![{name[:-4]}]({name})\n")
    parts += ["## Allocations and system calls per operation\n",
              "From one process each, with `interposer.so`. Futexes and io_uring are not seen.\n",
              counts_table(results), "## Every variant, with further figures\n", details_table(results)]
    (build / "report.md").write_text("\n".join(parts))
