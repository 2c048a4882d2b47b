"""Line charts as SVG, without further packages. The y axis is logarithmic."""

import math

from . import rows
from .measure import PEERS

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 120, 40, 50
COLOURS = {"gyre": "#c1121f", "libuv": "#1d7874", "asio": "#3a5ba0", "libevent": "#8a5a00", "libev": "#6a4c93",
           "kj": "#557a1f", "raw_epoll": "#888888"}


def plots(results):
    for workload, parameter, label in rows.PLOTS:
        chosen = [row for row in results["rows"] if row["workload"] == workload and parameter in row["params"]]
        if len(chosen) < 2:
            continue
        positions = [row["params"][parameter] for row in chosen]
        series = {}
        for peer in PEERS:
            points = [fastest(row, peer) for row in chosen]
            if any(point is not None for point in points):
                series[peer] = points
        yield f"{workload}.svg", line_chart(f"{workload}: ns per operation by {label}", label, positions, series)


def fastest(row, peer):
    medians = [entry["ns_per_op"]["median"] for entry in row["entries"]
               if entry["peer"] == peer and "ns_per_op" in entry and not entry["aside"]]
    return min(medians, default=None)


def line_chart(title, x_label, positions, series):
    values = [value for points in series.values() for value in points if value is not None]
    low = 10 ** math.floor(math.log10(min(values)))
    high = 10 ** math.ceil(math.log10(max(values) * 1.0001))

    def x(index):
        return LEFT + (WIDTH - LEFT - RIGHT) * index / max(len(positions) - 1, 1)

    def y(value):
        share = (math.log10(value) - math.log10(low)) / (math.log10(high) - math.log10(low))
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
             f'height="{HEIGHT}" font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
             f'<text x="{LEFT}" y="22" font-size="14">{title}</text>']
    tick = low
    while tick <= high:
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:,.0f} ns</text>')
        tick *= 10
    for index, position in enumerate(positions):
        parts.append(f'<text x="{x(index):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{position}</text>')
    parts.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">{x_label}</text>')

    labels = []
    for peer, points in series.items():
        drawn = [(x(index), y(value)) for index, value in enumerate(points) if value is not None]
        width = 3 if peer == "gyre" else 1.5
        line = " ".join(f"{px:.1f},{py:.1f}" for px, py in drawn)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{COLOURS[peer]}" stroke-width="{width}"/>')
        parts += [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="{COLOURS[peer]}"/>' for px, py in drawn]
        labels.append((drawn[-1][1], peer))
    bottom = 0.0
    for height, peer in sorted(labels):  # names beside the lines' ends, moved apart where they would overlap
        bottom = max(height, bottom + 14)
        parts.append(f'<text x="{WIDTH - RIGHT + 10}" y="{bottom + 4:.1f}" fill="{COLOURS[peer]}">{peer}</text>')
    return "\n".join(parts + ["</svg>"]) + "\n"
