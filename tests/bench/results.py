# SPDX-License-Identifier: BSD-2-Clause
"""What was measured: raw figures as CSV, medians over the rounds, tables of text."""

import csv
import statistics


class Results:
    """Figures by part, subject and quantity, one for each round."""

    def __init__(self):
        self.rows = []

    def add(self, part, subject, quantity, turn, value):
        self.rows.append((part, subject, quantity, turn, value))

    def values(self, part, subject, quantity):
        """{round: value}"""
        return {row[3]: row[4] for row in self.rows if row[:3] == (part, subject, quantity)}

    def median(self, part, subject, quantity):
        values = self.values(part, subject, quantity).values()
        return statistics.median(values) if values else None

    def ratio(self, part, quantity, subject, base, base_quantity=None):
        """Median of the ratios of the rounds: what is common to a round cancels out."""
        return self.ratio_of(part, subject, quantity, base, base_quantity or quantity)

    def ratio_of(self, part, subject, quantity, base, base_quantity):
        ours = self.values(part, subject, quantity)
        theirs = self.values(part, base, base_quantity)
        both = [ours[turn] / theirs[turn] for turn in ours if theirs.get(turn)]
        return statistics.median(both) if both else None

    def write(self, path, about):
        with open(path, "w", newline="", encoding="utf-8") as file:
            file.write(f"# {about}\n")
            writer = csv.writer(file)
            writer.writerow(("part", "subject", "quantity", "round", "value"))
            writer.writerows((*row[:4], f"{row[4]:.6g}") for row in self.rows)


def text(value, digits=3):
    """A figure as a person reads it."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


def table(title, head, rows):
    """The first column is words, the others are figures."""
    cells = [list(map(text, row)) for row in rows]
    widths = [max(len(row[i]) for row in [list(head), *cells]) for i in range(len(head))]
    lines = [f"\n{title}\n"]
    for row in [list(head), *cells]:
        lines.append("  " + row[0].ljust(widths[0]) + "".join(
            "  " + cell.rjust(width) for cell, width in zip(row[1:], widths[1:])))
    print("\n".join(lines), flush=True)
