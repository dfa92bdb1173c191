# SPDX-License-Identifier: BSD-2-Clause
"""Reads the manual pages as the tests need them: their macro lines, literal blocks, transcripts.

A transcript is a literal block of secagreed-control(7) with "-> " before a request and "<- " before
its answer. What is indented by three columns continues the line above.
"""

import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
MAN = os.path.join(ROOT, "conf", "man")
WIDTH = 70
SENT, RECEIVED, MORE = "-> ", "<- ", "   "


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def page(name):
    return read("conf", "man", name)


def plain(line):
    """A text line without the escapes of roff that the pages use."""
    for escape, text in ((r"\(dq", '"'), (r"\(aq", "'"), (r"\-", "-"), (r"\&", ""), (r"\e", "\\")):
        line = line.replace(escape, text)
    return line


def sections(source, macro):
    """{title: its lines} for each Sh or Ss, up to the next heading of the same or a higher rank."""
    found, lines = {}, None
    for line in source.split("\n"):
        heading = re.match(r"\.(Sh|Ss) (.*)", line)
        if heading and heading[1] in (macro, "Sh"):
            lines = None
        if heading and heading[1] == macro:
            lines = found.setdefault(heading[2], [])
        elif lines is not None:
            lines.append(line)
    return found


def items(lines, macro):
    """What the list items name by @macro: ".It Va a , b" names a and b. [(name, rest of line)]"""
    found = []
    for line in lines:
        item = re.match(rf"\.It {macro} (.*)", line)
        if not item:
            continue
        names, *rest = re.split(r" Pq ", item[1], maxsplit=1)
        found += [(name, rest[0] if rest else "") for name in names.split(" , ")]
    return found


def literal_blocks(source):
    """The literal displays, each as a list of plain lines."""
    return [[plain(line) for line in block.split("\n")]
            for block in re.findall(r"^\.Bd -literal[^\n]*\n(.*?)\n\.Ed$", source, re.M | re.S)]


def readme_blocks():
    return [block.split("\n") for block in
            re.findall(r"^```[a-z]*\n(.*?)\n```$", read("README.md"), re.M | re.S)]


def examples(lines):
    """[(prompt, command, output lines)] of a block that begins with "$ command" or "# command" (of
    root). A command goes on behind "\\" and "|", in quotes, and until a here-document ends."""
    found = []
    if not lines[0].startswith(("$ ", "# ")):
        return found
    goes_on = False
    for line in lines:
        if not goes_on and line.startswith(("$ ", "# ")):
            found.append([line[0], line[2:], []])
        elif goes_on:
            found[-1][1] += "\n" + line
        else:
            found[-1][2].append(line)
        goes_on = not found[-1][2] and is_open(found[-1][1])
    return [tuple(example) for example in found]


def is_open(command):
    here = re.search(r"<<(\w+)", command)
    return (command.endswith(("\\", "|")) or command.count("'") % 2 == 1
            or bool(here) and not command.endswith(f"\n{here[1]}"))


def unfold(lines):
    """The lines of a transcript, whole: ["-> {...}", "<- {...}"]."""
    whole = []
    for line in lines:
        if line.startswith(MORE) and whole:
            whole[-1] += line[len(MORE):]
        else:
            whole.append(line)
    return whole


def fold(mark, text):
    """The other way round, broken between fields or parameters, or else before a space."""
    lines, prefix = [], mark
    while text:
        room = WIDTH - len(prefix)
        cut = len(text)
        if cut > room:
            places = ([m.end() for m in re.finditer(r"[,;{\[](?! )", text[:room])] or
                      [m.start() for m in re.finditer(r" ", text[:room]) if m.start()])
            cut = max(places, default=room)
        lines.append(prefix + text[:cut].replace("\\", r"\e"))
        text, prefix = text[cut:], MORE
    return lines


def transcripts(source):
    """[(request, answer or None)] as texts, in the order of the page."""
    exchanges = []
    for block in literal_blocks(source):
        for line in unfold(block):
            if line.startswith(SENT):
                exchanges.append((line[len(SENT):], None))
            elif line.startswith(RECEIVED):
                exchanges[-1] = (exchanges[-1][0], line[len(RECEIVED):])
    return exchanges


def with_answers(source, ask):
    """@source with each exchange made anew by ask(request, answer in the page or None), which
    returns both as they are now."""
    def block(found):
        lines, exchanges = [], []
        for line in unfold([plain(line) for line in found[2].split("\n")]):
            if line.startswith(SENT):
                exchanges.append([line[len(SENT):], None])
            else:
                exchanges[-1][1] = line[len(RECEIVED):]
        for request, answer in exchanges:
            request, answer = ask(request, answer)
            lines += fold(SENT, request) + fold(RECEIVED, answer)
        return found[1] + "\n".join(lines) + "\n.Ed"

    return re.sub(r"^(\.Bd -literal\n)(-> .*?)\n\.Ed$", block, source, flags=re.M | re.S)
