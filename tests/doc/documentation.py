#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Is what the manual pages, the sample configuration and the README say true?

Holds them against the tables of the source (keys, methods, parameters, reasons, events), against
--help of the programs, and runs every example command that needs no daemon and no kernel. What
secagreed-control(7) shows of a running daemon is replayed by tests/kernel/transcripts.py. TAP.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "lib"), os.path.join(HERE, "../demo")]

import manual  # noqa: E402
from tap import Tap  # noqa: E402

BUILD = os.path.join(manual.ROOT, os.environ.get("BUILD") or "build")
PAGES = {"libsecagree.3", "secagree-ue.1", "secagreed.conf.5", "secagreed-control.7", "secagreectl.8", "secagreed.8"}
LIMIT_S = 60
T = Tap()


def program(name):
    return os.path.join(BUILD, name)


def run(*argv, **more):
    return subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT_S, check=False,
                          **more)


def same(name, told, true):
    """Two sets: what is told and what is true. Says what is only in one of them."""
    told, true = set(told), set(true)
    T.ok(told == true and true, name, f"not true: {sorted(told - true)}",
         f"not told: {sorted(true - told)}")


# ---- the pages themselves ----

def page_names():
    return {os.path.basename(path) for path in glob.glob(os.path.join(manual.MAN, "*.[1-9]"))}


def check_pages():
    same("there is a page for each program, file and protocol", page_names(), PAGES)
    for name in sorted(page_names()):
        lint = run("mandoc", "-Tlint", "-Wwarning", os.path.join(manual.MAN, name))
        T.ok(lint.returncode == 0 and not lint.stdout, f"{name} has no fault that mandoc finds",
             lint.stdout, lint.stderr)
    ours = {tuple(name.rsplit(".", 1)) for name in PAGES}
    for name in sorted(page_names()):
        named = set(re.findall(r"(?:^\.|\s)Xr (secagree\S*) (\d)", manual.page(name), re.M))
        T.ok(named <= ours, f"{name} names only pages that there are", named - ours)


# ---- configuration ----

CONSTANTS = {"INT32_MAX": 2 ** 31 - 1, "MAX_SECONDS": 7 * 24 * 3600, "XFRM_MAX_REPLAY_WINDOW": 4096}
SECTIONS = {"SOCKET_OPTIONS": "Section socket", "HTTP_OPTIONS": "Section http",
            "MONITOR_OPTIONS": "Section monitor",
            "LISTENER_OPTIONS": "Section listener", "OPTIONS": "Daemon"}


def code_keys(source):
    """{(section of the page, key): default, or None} of the tables of options."""
    paths = dict(re.findall(r'#define (\w+)\s+("[^"]*")', manual.read("daemon", "config.h")))
    keys = {}
    for table, rows in re.findall(r"cfg_opt_t (\w+)\[\] = \{(.*?)\n\};", source, re.S):
        for kind, key, default in re.findall(r'CFG_(\w+)\("([^"]+)", ([^,]+),', rows):
            if kind != "SEC":
                default = paths.get(default, default).strip('"')
                if "NODEFAULT" in line_of(rows, key):
                    default = None
                keys[SECTIONS[table], key] = default
    return keys


def line_of(text, key):
    return next(line for line in text.split("\n") if f'"{key}"' in line)


def page_keys(page):
    """{(section, key): its text} of secagreed.conf(5)."""
    keys = {}
    for section, lines in manual.sections(page, "Ss").items():
        key = None
        for line in lines:
            if line.startswith(".It Ic "):
                key = section, line[len(".It Ic "):]
                keys[key] = ""
            elif key:
                keys[key] += manual.plain(re.sub(r"^\.(Cm|Pa|Ql|Ic) ", "", line)) + "\n"
    return keys


def page_default(text):
    found = re.search(r"Default:\s(.*?)\s?\.$", text, re.M | re.S)
    return found and found[1]


def sample_keys(sample):
    """{(section, key): value as written} of the sample's first sections."""
    keys, section = {}, "Daemon"
    for line in sample.split("\n"):
        line = line.split("#")[0].strip()
        if opened := re.match(r"(\w+)[ \w]*\{$", line):
            section = f"Section {opened[1]}"
        elif line == "}":
            section = "Daemon"
        elif found := re.match(r"([\w-]+) = (.*)$", line):
            keys.setdefault((section, found[1]), found[2])
    return keys


def as_told(value):
    """A value of the sample in the words of the page."""
    return ", ".join(part.strip().strip('"') for part in value.strip("{} ").split(","))


def check_defaults(code, page, sample):
    for key, default in sorted(code.items()):
        told, written = page_default(page.get(key, "")), as_told(sample.get(key, "?"))
        name = f"{key[1]}: code, page and sample have the same default"
        if default is None:
            T.ok(told is None, f"{key[1]} has no default, and the page says none", told)
        elif default == "NULL":  # a list that select_policy_default() makes
            T.ok(told == written, f"{key[1]}: page and sample have the same default", told, written)
        else:
            T.ok(told == (default or "empty") and written == default, name, default, told, written)


def check_words(source, page):
    """What word_value(), flags() and number() take stands in the item of its key."""
    text = {key: told for (_, key), told in page.items()}
    tables = dict(re.findall(r"struct word (\w+)\[\] = \{(.*?)\n\};", source, re.S))
    keys = re.findall(r'(?:word_value|flags)\(cfg, "([\w-]+)", (\w+)', source)
    T.ok({"protocols", "modes"} < {key for key, _ in keys}, "the tables of words are found", *keys)
    for key, table in keys:
        words = re.findall(r'\{ "([\w-]+)"', tables[table])
        T.ok(words and all(word in text.get(key, "") for word in words),
             f"{key}: the page has each word that it may be", *words)
    for key, low, high in re.findall(r'number\(cfg, "([\w-]+)", (\w+), (\w+)', source):
        told = f"{low} to {CONSTANTS.get(high, high)}"
        T.ok(told in text.get(key, "").replace("\n", " "), f"{key}: the page has its range, {told}")


def check_algorithms(page):
    """Each combination in the page's table is one that the daemon takes, and none is missing."""
    told = set(re.findall(r"^\.It Ql (\S+) Ta", page, re.M))
    true = set()
    for alg in ("hmac-md5-96", "hmac-sha-1-96", "aes-gmac", "null"):
        for ealg in ("null", "des-ede3-cbc", "aes-cbc", "aes-gcm"):
            if configured(listener(f'algorithms = {{ "{alg}/{ealg}" }}')).returncode == 0:
                true.add({"aes-gmac/null": "aes-gmac", "null/aes-gcm": "aes-gcm"}.get(
                    f"{alg}/{ealg}", f"{alg}/{ealg}"))
    same("algorithms: the page has each combination that the daemon takes", told, true)


def listener(more=""):
    return ('listener test { address = "192.0.2.1" server-port = 6100 client-ports = "6104-6107" '
            f"{more} }}\n")


def configured(text):
    """--check-config of @text."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(text)
        file.flush()
        return run(program("secagreed"), "--check-config", "--config", file.name)


def check_reload(code, page):
    """Each key is in the tables of reload.c, and those that wait for a restart in section RELOAD."""
    tables = dict(re.findall(r"struct key (\w+)\[\] = \{(.*?)\n\};",
                             manual.read("daemon", "reload.c"), re.S))
    rows = {name: dict(re.findall(r'\{ "([\w-]+)", (\w+),', text))
            for name, text in tables.items()}
    sections = {section.split()[1] for section, _ in code if section.startswith("Section")}
    same("a reload knows each key of the daemon", rows["DAEMON_KEYS"],
         {key for section, key in code if section == "Daemon"} | sections - {"listener"})
    same("a reload knows each key of a listener", rows["LISTENER_KEYS"],
         {key for section, key in code if section == "Section listener"})
    told = set(re.findall(r"[a-z]+[a-z-]+", " ".join(re.findall(
        r"^\.Ic (.*)", "\n".join(manual.sections(page, "Sh")["RELOAD"]), re.M))))
    waits = {key for table in rows.values() for key, when in table.items() if when != "AT_ONCE"}
    same("secagreed.conf(5) has each key that waits for a restart", told - {"modes"}, waits)


def check_configuration():
    source = manual.read("daemon", "config.c")
    page = manual.page("secagreed.conf.5")
    code, told = code_keys(source), page_keys(page)
    sample = sample_keys(manual.read("conf", "secagreed.conf"))
    same("secagreed.conf(5) has each key of the code, and no other", told, code)
    same("the sample has each key of the code, and no other", sample, code)
    check_defaults(code, told, sample)
    check_reload(code, page)
    check_words(source, told)
    check_algorithms(page)
    done = run(program("secagreed"), "--check-config", "-c",
               os.path.join(manual.ROOT, "conf", "secagreed.conf"))
    T.ok(done.returncode == 0, "the sample passes --check-config", done.stderr)
    examples = [block for block in manual.literal_blocks(page)
                if any(re.match(r"(listener|socket|http)\b.*\{$", line) for line in block)]
    T.ok(len(examples) >= 2, "secagreed.conf(5) has examples")
    for number, block in enumerate(examples, 1):
        done = configured("\n".join(block))
        T.ok(done.returncode == 0, f"example {number} of secagreed.conf(5) passes --check-config",
             done.stderr)


# ---- the control protocol ----

TYPES = {"TEXT": "text", "LINES": "lines", "ADDRESS": "address", "PORT": "port", "NUMBER": "number",
         "KEY": "key", "SET": "set", "BOOL": "boolean", "WORD": "word",
         "MESSAGE": "message", "BASE64": "base64", "PLACE": "place"}


def code_methods():
    """{method: [(parameter, type, required)]} of the table of methods."""
    source = manual.read("daemon", "command.c")
    table = re.search(r"COMMANDS\[\] = \{(.*?)\n\};", source, re.S)[1]
    table = table.replace("SET_REQUIRED", '{ "set", PARAM_SET, true, "" }')
    methods = {}
    rows = re.findall(r'\{ "(\w+\.\w+)", (.*?)(?=\n\t\{ "\w+\.|\n\t\{ 0 \})', table, re.S)
    for method, params in rows:
        methods[method] = [(name, TYPES[kind], required == "true") for name, kind, required in
                           re.findall(r'\{ "(\w+)", PARAM_(\w+), (\w+),', params)]
    return methods


def code_readers():
    """Methods that the monitor socket has."""
    table = re.search(r"COMMANDS\[\] = \{(.*?)\n\};", manual.read("daemon", "command.c"), re.S)[1]
    return [re.search(r'"(\w+\.\w+)"', row)[1]
            for row in re.split(r'\n(?=\t\{ ")', table) if "COMMAND_READS" in row]


def page_methods(page):
    described = manual.sections("\n".join(manual.sections(page, "Sh")["METHODS"]), "Ss")
    return {method: [(name, rest.split(",")[0], rest.endswith(", required"))
                     for name, rest in manual.items(lines, "Fa")]
            for method, lines in described.items()}


def code_reasons():
    """{token: (code and phrase or "", verdict or "")} of the table of reasons."""
    source = manual.read("daemon", "refusal.c")
    rows = re.findall(r'\[REASON_\w+\] = \{ "(\w+)",\s+(\d+),\s+(NULL|"[^"]*"),\s+VERDICT_(\w+)',
                      source)
    return {token: (f"{code} {phrase[1:-1]}" if code != "0" else "",
                    verdict.lower() if verdict != "NONE" else "")
            for token, code, phrase, verdict in rows}


def page_reasons(page):
    reasons = {}
    for token, rest in manual.items(manual.sections(page, "Sh")["ERROR REPLIES"], "Er"):
        reply = re.match(r"(\d{3} .*?) , ", rest)
        reasons[token] = (reply[1] if reply else "", rest.split(" , ")[-1])
    return reasons


def check_reasons(page):
    true, told = code_reasons(), page_reasons(page)
    count = len(re.findall(r"^\tREASON_\w+,$", manual.read("daemon", "refusal.h"), re.M)) - 1
    T.ok(len(true) == count, "each reason of refusal.h was found in the table", len(true), count)
    same("secagreed-control(7) has each reason of the code, and no other", told, true)
    for token in sorted(set(true) & set(told)):
        T.ok(told[token] == true[token], f"{token}: its reply and verdict are those of the code",
             f"page {told[token]}", f"code {true[token]}")
    methods = "\n".join(manual.sections(page, "Sh")["METHODS"])
    named = set(re.findall(r"\b[a-z]+_[a-z_]+|\blimit\b|\bdenied\b|\binternal\b",
                           "\n".join(re.findall(r"^\.Er .*", methods, re.M))))
    same("the methods name each reason that there is", named - {"bad_params"}, true)
    outside = set(re.findall(r'"(bad_\w+|unknown_\w+)"', manual.read("daemon", "dispatch.c")))
    T.ok(outside and all(f".Er {token}" in page or f", {token}" in page for token in outside),
         "the reasons of faults of the protocol stand in the page", outside)


def check_limits(page):
    """The table of limits, against the constants."""
    sources = "".join(manual.read(*path) for path in (
        ("daemon", "frame_json.h"), ("daemon", "rpc.h"), ("daemon", "sa_set.c"),
        ("daemon", "conn.c"), ("daemon", "control.c"), ("daemon", "command_sa.c"),
        ("daemon", "command_export.c"),
        ("daemon", "frame_resp.h"), ("daemon", "frame_http.h"), ("daemon", "event.h"),
        ("daemon", "command_event.c"), ("daemon", "history.h"), ("daemon", "command_phone.c"),
        ("proto", "sec_header.h")))
    value = {name: eval(text.split("/*")[0], {}) for name, text in
             re.findall(r"#define (\w+)[ \t]+(\(?\d[\d* ]*\)?)", sources)}
    rows = dict(re.findall(r"^\.It (.*?) Ta (.*?)(?: ;.*)?$", page, re.M))
    for row, name, unit in (("a request or batch", "FRAME_JSON_MAX_BYTES", "KiB"),
                            ("brackets within each other", "FRAME_JSON_MAX_DEPTH", ""),
                            ("requests in a batch", "RPC_MAX_BATCH", ""),
                            ("answers of a batch", "RPC_MAX_BATCH_BYTES", "MiB"),
                            ("answers that the client does not read", "OUT_HIGH_BYTES", "MiB"),
                            ("arguments of a RESP2 command", "FRAME_RESP_MAX_ARGS", ""),
                            ("a RESP2 command", "FRAME_RESP_MAX_BYTES", "KiB"),
                            ("head of an HTTP request", "FRAME_HTTP_MAX_HEAD_BYTES", "KiB"),
                            ("connections at each door of HTTP", "HTTP_MAX_CONNECTIONS", ""),
                            ("time for a request that has begun", "REQUEST_S", "seconds"),
                            ("time without reading anything", "UNREAD_S", "seconds"),
                            ("events that are kept", "EVENT_KEPT", ""),
                            ("events of one IMPI, address or set", "HISTORY_EVENTS", ""),
                            ("memory for the events of all phones", "HISTORY_MAX_BYTES", "MiB"),
                            ("sets of a contact", "MAX_SETS_PER_CONTACT", ""),
                            ("sets whose keys are in one answer", "EXPORT_MAX_SETS", ""),
                            ("one header, all lines together", "SEC_MAX_BYTES", "bytes"),
                            ("lines of a header", "SEC_MAX_LINES", ""),
                            ("mechanisms in a header", "SEC_MAX_MECHANISMS", ""),
                            ("parameters of a mechanism", "SEC_MAX_PARAMS", ""),
                            ("one name or value in a header", "SEC_MAX_WORD_BYTES", "bytes")):
        number = value[name] // {"KiB": 1024, "MiB": 1024 * 1024}.get(unit, 1)
        T.ok(rows.get(row) == f"{number} {unit}".strip(), f"the limit of {row} is {name}",
             f"page {rows.get(row)}", f"code {number} {unit}")
    for name in ("LIST_DEFAULT", "LIST_MAX", "LIST_LOOKED", "EVENT_LIST_DEFAULT", "ABORT_LINGER_S",
                 "EXPLAIN_SETS"):
        T.ok(re.search(rf"\b{value[name]}\b", page), f"{name} = {value[name]} stands in the page")


def check_causes(page):
    """Of phone.explain."""
    source = manual.read("daemon", "diagnosis.c")
    true = set(re.findall(r'^\t\{ "(\w+)", \w+, say_', source, re.M)) | set(
        re.findall(r'^\t\{ "\w+", [^,]+, [^,]+, "(\w+)",', source, re.M))
    told = {word for lines in manual.items(manual.sections(page, "Ss")["phone.explain"], "Em")
            for word in re.findall(r"\w+", lines[0])}
    same("secagreed-control(7) has each cause of the code, and no other", told, true)
    lone = set(re.findall(r'add\(d, "(\w+)"', source))
    T.ok(lone <= true, "no cause stands outside of the tables", lone - true)


def check_metrics(page):
    table = re.search(r"METRICS\[\] = \{(.*?)\n\};", manual.read("daemon", "metrics.c"), re.S)[1]
    told = manual.items(manual.sections(page, "Ss")["HTTP"], "Va")
    same("secagreed-control(7) has each metric, and no other", {name for name, _ in told},
         re.findall(r'\{ "(secagreed_\w+)"', table))


def check_protocol():
    page = manual.page("secagreed-control.7")
    true, told = code_methods(), page_methods(page)
    T.ok(list(true) == list(told) and true,
         "secagreed-control(7) has the methods of the code, in order", list(told), list(true))
    for method, params in true.items():
        T.ok(told.get(method) == params or sorted(told.get(method, [])) == sorted(params),
             f"{method}: the page has its parameters, with type and need", told.get(method), params)
    section = "\n".join(manual.sections(page, "Ss")["Monitor socket"])
    same("secagreed-control(7) has the methods of the monitor socket",
         re.findall(r"^\.Ic (\w+\.\w+)", section, re.M), code_readers())
    check_reasons(page)
    check_limits(page)
    check_metrics(page)
    check_causes(page)
    for number, (request, answer) in enumerate(manual.transcripts(page), 1):
        T.ok(answer and "@" not in re.sub(r"\w@ims", "", request),
             f"exchange {number} of secagreed-control(7) is whole", request)


def check_log():
    sources = "".join(manual.read("daemon", os.path.basename(path))
                      for path in glob.glob(os.path.join(manual.ROOT, "daemon", "*.c")))
    true = set(re.findall(r"event=([a-z-]+)", sources)) | set(
        re.findall(r'\[EVENT_\w+\] = \{ "([a-z-]+)"', manual.read("daemon", "event.c")))
    told = {name.replace("event=", "")
            for name, _ in manual.items(manual.page("secagreed.8").split("\n"), "Ic")}
    same("secagreed(8) has each event of the log, and no other", told, true)


# ---- options ----

def help_of(name, *arguments):
    done = run(program(name), *arguments, "--help")
    T.ok(done.returncode == 0 and done.stdout, f"{' '.join((name, *arguments))} --help",
         done.stderr)
    return done.stdout


def long_options(text):
    return set(re.findall(r"(?<![\w-])--([a-z][a-z0-9-]*)", text))


def page_options(page):
    """What stands behind Fl with its own dash: "Fl -name", "Fl c | -config", "Fl c , -config"."""
    macros = "\n".join(line for line in page.split("\n") if line.startswith("."))
    return set(re.findall(r"\bFl (?:\w [|,] )?-([a-z][a-z0-9-]*)", macros)) | set(
        re.findall(r"\bFl -[a-z0-9-]+ [|,] -([a-z][a-z0-9-]*)", macros))


def commands_of(text):
    """The commands that secagreectl --help lists."""
    return re.findall(r"^  ([a-z][a-z-]*) +\S", text, re.M)


def same_options(page, true):
    """The options of a page and of --help; a page may speak of "--name value" in general."""
    told = page_options(manual.page(page)) - ({"name"} - true)
    same(f"{page} has the options of --help, and no other", told, true)


def check_options():
    top = help_of("secagreectl")
    commands = commands_of(top)
    every = set.union(long_options(top), *(long_options(help_of("secagreectl", command))
                                           for command in commands))
    same_options("secagreed.8", long_options(help_of("secagreed")))
    same_options("secagreectl.8", every)
    same_options("secagree-ue.1", long_options(help_of("secagree-ue")))
    told = re.findall(r"^\.It (?:Xo )?Cm ([a-z-]+)", manual.page("secagreectl.8"), re.M)
    same("secagreectl.8 has the commands of --help, and no other", told, commands)
    asked = {"agreement." + command for command in commands}  # without the daemon
    for command in commands:
        asked |= set(re.findall(r"^The daemon's method: (\S+),", help_of("secagreectl", command),
                                re.M))
    told = re.search(r"has a command for each method but\n(.*?)which are for programs",
                     manual.page("secagreed-control.7"), re.S)[1]
    same("secagreectl has a command for each method but those that secagreed-control(7) names",
         re.findall(r"\w+\.\w+", told),
         set(code_methods()) - asked)


def check_doctor():
    source = manual.read("daemon", "ctl", "doctor.c")
    table = re.search(r"CHECKS\[\] = \{(.*?)\n\};", source, re.S)[1]
    told = manual.sections(manual.page("secagreectl.8"), "Sh")["WHAT DOCTOR LOOKS AT"]
    T.ok([name for name, _ in manual.items(told, "Em")] == re.findall(r'\{"(\w+)"', table),
         "secagreectl(8) has the checks of doctor, in order", told)


# ---- examples ----

OFFLINE = re.compile(
    r"secagreectl (parse|select|compare|decide|keys)\b|secagree(ctl|-ue) --(version|help)|"
    r"secagreed (-\S+ )*--(check-config|version|help)")


def examples_of(lines):
    """Those that need not be root. tests/kernel/typed.py has the others."""
    return [(command, output) for prompt, command, output in manual.examples(lines)
            if prompt == "$"]


def runnable(command):
    command = command.replace("build/", "")
    return OFFLINE.search(command)


def run_example(command, directory):
    """In @directory, with the programs under test; the tree and the sample files are there."""
    environment = dict(os.environ, PATH=f"{BUILD}:{os.environ.get('PATH', '')}", LC_ALL="C.UTF-8")
    return run("sh", "-c", command, cwd=directory, env=environment)


def check_example(where, command, output, directory):
    done = run_example(command, directory)
    seen = done.stdout.rstrip("\n").split("\n")
    wanted = [line for line in output if line.strip()]
    name = f"{where}: {' '.join(command.split())[:60]}"
    if wanted:
        T.ok([line for line in seen if line.strip()] == wanted, f"{name} prints what it says",
             *wanted, "seen:", *seen, done.stderr)
    else:
        T.ok(done.returncode == 0, f"{name} works", done.stderr, done.stdout)


def check_examples():
    places = [(name, manual.literal_blocks(manual.page(name))) for name in sorted(page_names())]
    places.append(("README.md", manual.readme_blocks()))
    with tempfile.TemporaryDirectory() as directory:
        os.symlink(os.path.join(manual.ROOT, "conf"), os.path.join(directory, "conf"))
        os.symlink(os.path.join(manual.ROOT, "tests"), os.path.join(directory, "tests"))
        os.symlink(BUILD, os.path.join(directory, "build"))
        for path in glob.glob(os.path.join(HERE, "files", "*")):
            shutil.copy(path, directory)
        for where, blocks in places:
            for command, output in (example for block in blocks for example in examples_of(block)):
                if runnable(command):
                    check_example(where, command, output, directory)


# ---- README ----

def check_readme():
    text = manual.read("README.md")
    ran = [command for block in manual.readme_blocks() for command, _ in examples_of(block)
           if runnable(command)]
    T.ok(len(ran) >= 3, "README.md shows offline commands with their output", *ran)
    named = set(re.findall(r"\b(?:daemon|proto|xfrm|conf|tests)/[\w./-]*\w", text))
    missing = [path for path in sorted(named)
               if not os.path.exists(os.path.join(manual.ROOT, path))]
    T.ok(named and not missing, "each file that README.md names is there", *missing)
    targets = set(re.findall(r"^([\w-]+):", manual.read("Makefile"), re.M))
    used = set(re.findall(r"(?:`|^[#$] )make ([a-z]+)", text, re.M))
    T.ok({"demo", "test"} <= used <= targets, "each make target that README.md names is there",
         used - targets)
    links = [path for path in re.findall(r"\]\(([^)#:]+)\)", text)
             if not os.path.exists(os.path.join(manual.ROOT, path))]
    T.ok(not links, "each link of README.md leads somewhere", *links)
    order = ["proto/ipsec3gpp.h", "daemon/plan.c", "xfrm/xfrm.h", "daemon/sa_set.c",
             "daemon/command.c", "daemon/main.c"]
    at = [text.find(f". `{path}`: ") for path in order]
    T.ok(-1 not in at and at == sorted(at), "README.md has the reading order", at)


def main():
    for check in (check_pages, check_configuration, check_protocol, check_log, check_options,
                  check_doctor, check_examples, check_readme):
        try:
            check()
        except (OSError, KeyError, TypeError, StopIteration, subprocess.SubprocessError) as error:
            T.ok(False, f"{check.__name__} runs to its end", repr(error))
    return T.finish()


if __name__ == "__main__":
    sys.exit(main())
