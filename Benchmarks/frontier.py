"""Draws accuracy over the bytes of a file, a curve for each way to get there, from rows that `accuracy.py` printed.

    make accuracy ARGUMENTS="--networks resnet32.safetensors --bytes 124000 187000 --bits auto" > rows.md
    .venv/bin/python Benchmarks/frontier.py rows.md docs/frontier.svg

A row is a line of the table; its third column names the curve. Rows of other networks than the first are left out.
"""

import math
import pathlib
import sys

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 760, 430, 62, 52, 46, 20
COLOURS = ["#0b5cad", "#d1570b", "#3b8a3e", "#7b4fa3", "#6b6b6b"]
TICKS = [1, 2, 3, 5, 8, 10, 15, 20, 30, 40]


def rows(path):
    """The network, and for each curve its points (bytes, accuracy); the accuracy and the bytes of the original."""
    network, curves, original, size = None, {}, None, None
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        cells = [cell.strip().strip("*") for cell in line.strip().strip("|").split("|")]
        if len(cells) < 7 or not cells[4].isdigit():
            continue
        network = network or cells[0]
        if cells[0] == network:
            count = int(cells[4])
            original, size = float(cells[6]), float(cells[1]) * count
            curves.setdefault(cells[2], {}).setdefault(count, []).append(float(cells[5]))
    # Several seeds of one size are one point.
    return network, original, size, {name: sorted((count, sum(all) / len(all)) for count, all in points.items())
                                     for name, points in curves.items()}


def picture(network, original, size, curves):
    counts = [count for points in curves.values() for count, _ in points]
    values = [value for points in curves.values() for _, value in points]
    low, high = math.log(min(counts) * 0.93), math.log(max(counts) * 1.07)
    floor, ceiling = math.floor(max(min(values), original - 30) / 5) * 5, math.ceil((original + 1) / 5) * 5

    def x(count):
        return LEFT + (math.log(count) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(value):
        return TOP + (ceiling - max(value, floor)) / (ceiling - floor) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="Helvetica, Arial, sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="22" font-size="15" fill="#222">{network}: accuracy (%) over the bytes of the file, without training</text>',
    ]
    for value in range(floor, ceiling + 1, 5):
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#e4e4e4"/>'
                     f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end" fill="#444">{value}</text>')
    for ratio in TICKS:
        if low <= math.log(size / ratio) <= high:
            place = x(size / ratio)
            parts.append(f'<line x1="{place:.1f}" x2="{place:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#f0f0f0"/>'
                         f'<text x="{place:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" fill="#444">{ratio}x</text>'
                         f'<text x="{place:.1f}" y="{HEIGHT - BOTTOM + 35}" text-anchor="middle" fill="#888">'
                         f'{size / ratio / 1000:.0f} kB</text>')
    parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(original):.1f}" y2="{y(original):.1f}" stroke="#999" '
                 f'stroke-dasharray="5 4"/><text x="{LEFT + 6}" y="{y(original) - 5:.1f}" fill="#666">original, {original:.1f}</text>')
    for (name, points), colour in zip(curves.items(), COLOURS):
        line = " ".join(f"{x(count):.1f},{y(value):.1f}" for count, value in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x(count):.1f}" cy="{y(value):.1f}" r="3.5" fill="{colour}"><title>{count:,} bytes: '
                  f'{value:.1f} %</title></circle>' for count, value in points]
    for number, (name, colour) in enumerate(zip(curves, COLOURS)):
        top = HEIGHT - BOTTOM - 18 - 20 * (len(curves) - 1 - number)
        parts.append(f'<circle cx="{WIDTH - 260}" cy="{top - 4}" r="4" fill="{colour}"/>'
                     f'<text x="{WIDTH - 248}" y="{top}" fill="#222">{name}</text>')
    return "\n".join(parts + ["</svg>", ""])


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    found = rows(sys.argv[1])
    if not found[3]:
        sys.exit(f"{sys.argv[1]}: no row of a table of accuracy.py")
    pathlib.Path(sys.argv[2]).write_text(picture(*found), encoding="utf-8")


if __name__ == "__main__":
    main()
