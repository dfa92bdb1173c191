# SPDX-License-Identifier: BSD-2-Clause
"""Plots as SVG: bars for things side by side, lines for what grows. All begin at zero."""

import functools
import html
import math

import results

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 720, 360, 70, 40, 40, 190
COLOURS = ("#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#d68910", "#566573")


def _text(x, y, words, anchor="start", size=12):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">'
            f"{html.escape(words)}</text>")


def _page(title, height, parts, about):
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        _text(LEFT, 20, title, size=14), *parts,
        _text(WIDTH - 8, height - 6, about, "end", 9), "</svg>", ""])


def bars(title, rows, about):
    """@rows: [(name, value)], drawn from top to bottom."""
    left, step = 190, 26
    most = max(value for _, value in rows)
    parts = []
    for i, (name, value) in enumerate(rows):
        y = TOP + i * step
        wide = (WIDTH - left - 90) * value / most
        parts += [_text(left - 8, y + 13, name, "end"),
                  f'<rect x="{left}" y="{y}" width="{wide:.1f}" height="18" '
                  f'fill="{COLOURS[0]}"/>',
                  _text(left + wide + 6, y + 13, results.text(value, 2))]
    return _page(title, TOP + len(rows) * step + 24, parts, about)


def _step(most):
    """A round distance between at most six lines."""
    power = 10 ** math.floor(math.log10(most / 5))
    return next(power * times for times in (1, 2, 5, 10) if power * times >= most / 5)


def _labels(values, place):
    """Of @values, those that fit side by side, the largest before all."""
    kept = []
    for value in sorted(values, reverse=True):
        if not kept or place(kept[-1]) - place(value) >= 8 * len(f"{value:,}"):
            kept.append(value)
    return kept


def lines(title, series, about, scale=math.log10):
    """@series: [(name, [(x, y)])]; x on a scale of logarithms, or another one."""
    points = [point for _, line in series for point in line]
    low, high = (scale(edge({x for x, _ in points})) for edge in (min, max))
    top = max(y for _, y in points) * 1.1

    def at(x, y):
        across = (scale(x) - low) / (high - low or 1)
        return (LEFT + across * (WIDTH - LEFT - RIGHT),
                HEIGHT - BOTTOM - y / top * (HEIGHT - BOTTOM - TOP))

    parts = []
    step = _step(top)
    for i in range(int(top / step) + 1):
        x, y = LEFT, at(points[0][0], i * step)[1]
        parts += [f'<line x1="{x}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#ddd"/>',
                  _text(x - 6, y + 4, f"{i * step:,g}", "end")]
    for x in _labels({x for x, _ in points}, lambda x: at(x, 0)[0]):
        parts.append(_text(at(x, 0)[0], HEIGHT - BOTTOM + 16, f"{x:,}", "middle"))
    for i, (name, line) in enumerate(series):
        colour = COLOURS[i % len(COLOURS)]
        dash = ' stroke-dasharray="5 3"' if i >= len(COLOURS) else ""
        where = " ".join("{:.1f},{:.1f}".format(*at(x, y)) for x, y in line)
        for across, up in (at(x, y) for x, y in line):
            parts.append(f'<circle cx="{across:.1f}" cy="{up:.1f}" r="3" fill="{colour}"/>')
        parts += [f'<polyline points="{where}" fill="none" stroke="{colour}" '
                  f'stroke-width="2"{dash}/>',
                  f'<line x1="{WIDTH - RIGHT + 12}" y1="{TOP + 18 * i + 8}" '
                  f'x2="{WIDTH - RIGHT + 32}" y2="{TOP + 18 * i + 8}" stroke="{colour}" '
                  f'stroke-width="2"{dash}/>',
                  _text(WIDTH - RIGHT + 38, TOP + 18 * i + 12, name, size=11)]
    return _page(title, HEIGHT, parts, about)


KINDS = {"bars": bars, "lines": lines, "straight": functools.partial(lines, scale=float)}
