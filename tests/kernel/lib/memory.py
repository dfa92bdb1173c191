# SPDX-License-Identifier: BSD-2-Clause
"""What a process, or a file, holds: to be searched for what should not be there."""

import os
import re


def of_process(pid):
    """(where, bytes) of all that can be read. A shared mapping is its file, which is looked at as
    one: read as memory its holes would take memory, too."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, \
            open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in maps:
            begin, end, rights, name = re.match(
                r"(\w+)-(\w+) (\S+) \S+ \S+ \S+\s*(.*)", line).groups()
            if rights[0] != "r" or name.startswith("[v") or "s" in rights and "/" in name:
                continue
            mem.seek(int(begin, 16))
            yield f"{name or 'a mapping'} {rights}", mem.read(int(end, 16) - int(begin, 16))


def of_file(path):
    """In pieces, without its holes: the store's has room for all sets that there may be."""
    with open(path, "rb") as file:
        end = os.fstat(file.fileno()).st_size
        begin = hole = 0
        while hole < end:
            try:
                begin = os.lseek(file.fileno(), hole, os.SEEK_DATA)
            except OSError:
                return
            hole = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
            yield os.pread(file.fileno(), hole - begin, begin)
