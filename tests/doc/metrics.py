#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Are the metrics what Prometheus expects, and do the alerts and the dashboard use them rightly?

promtool checks what a daemon (that of tests/cli/doors.py) writes, the rules of conf/prometheus, and
that each alert fires and is silent where it should (files/alerts.yml). Names of metrics, labels and
their values in rules and dashboard are held against what the daemon has. TAP.
"""

import json
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "lib"), os.path.join(HERE, "../cli")]

import doors  # noqa: E402
import manual  # noqa: E402

T = doors.T
RULES = os.path.join(manual.ROOT, "conf", "prometheus", "secagreed.rules.yml")
DASHBOARD = os.path.join(manual.ROOT, "conf", "grafana", "secagreed.json")
ALERTS = os.path.join(HERE, "files", "alerts.yml")
SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)$")
# Labels that a server of Prometheus, or the rules, add
FOREIGN = {"instance", "job", "alertname", "alertstate"}


def promtool(*words, stdin=None):
    return subprocess.run(["promtool", *words], input=stdin, text=True, capture_output=True,
                          timeout=120, check=False)


def check_tool(name, *words, stdin=None):
    done = promtool(*words, stdin=stdin)
    # check metrics says on standard error what it finds, and fails
    T.ok(done.returncode == 0 and not (stdin and done.stderr), name, done.stdout + done.stderr)


# ---- what the daemon writes ----

def scrape():
    """/metrics of a daemon that has done something, as text."""
    with doors.Daemon() as daemon:
        with doors.Door(daemon.control) as door:
            made = door.json("sa.offer", **doors.OFFER)["result"]["set"]
            door.json("sa.confirm", set=made, expires=600)
            door.json("sa.show", set="0" * 16)
            door.json("sa.show")
        return doors.curl(daemon, "http://x/metrics")[0]


def read(text):
    """({name: type}, {name: [({label: value}, number)]})"""
    types = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))
    samples = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, number = SAMPLE.match(line).groups()
            samples.setdefault(name, []).append(
                (dict(re.findall(r'(\w+)="([^"]*)"', labels or "")), float(number)))
    return types, samples


def check_names(types):
    for name, kind in types.items():
        T.ok(name.startswith("secagreed_") and name.endswith("_total") == (kind == "counter"),
             f"{name}: its name says what it is", kind)
    units = {word for name in types for word in re.findall(
        r"_(seconds|bytes|ms|us|milliseconds|kilobytes|minutes|percent)\b", name)}
    T.equal(units, {"seconds", "bytes"}, "units are seconds and bytes")


def check_histograms(types, samples):
    for name in [name for name, kind in types.items() if kind == "histogram"]:
        series = {}
        for labels, number in samples[name + "_bucket"]:
            bound = float(labels.pop("le").replace("+Inf", "inf"))
            series.setdefault(tuple(labels.items()), []).append((bound, number))
        counts = {tuple(labels.items()): number for labels, number in samples[name + "_count"]}
        sums = {tuple(labels.items()): number for labels, number in samples[name + "_sum"]}
        T.ok(all(row == sorted(row) and row == sorted(row, key=lambda pair: pair[1]) and
                 row[-1] == (float("inf"), counts[key]) and
                 (sums[key] > 0) == (counts[key] > 0) for key, row in series.items()) and
             set(series) == set(counts) == set(sums),
             f"{name}: buckets grow up to the count", series)


def check_numbers(samples):
    def value(name, **labels):
        return next((n for known, n in samples[name] if known == labels), None)
    T.equal((value("secagreed_sets", state="current"),
             value("secagreed_set_changes_total", **{"from": "temporary", "to": "current"}),
             value("secagreed_requests_total", method="sa.show", result="refused"),
             value("secagreed_request_duration_seconds_count", method="sa.show"),
             value("secagreed_request_duration_seconds_count", method="sa.offer")),
            (1, 1, 1, 1, 1),
            "what was done is counted; what was not begun is not timed")
    T.ok(value("secagreed_resident_memory_bytes") > 1 << 20 and
         value("secagreed_cpu_seconds_total") > 0, "memory and processor are those of a process")
    path = "/proc/net/xfrm_stat"
    with open(path if os.path.exists(path) else os.devnull, encoding="ascii") as file:
        T.equal({labels["counter"] for labels, _ in samples.get("secagreed_xfrm_drops_total", [])},
                {line.split()[0] for line in file}, "the kernel's counters are there by their names")


def label_values(samples):
    """{(metric, label): its values}"""
    values = {}
    for name, rows in samples.items():
        for labels, _ in rows:
            for label, value in labels.items():
                values.setdefault((name, label), set()).add(value)
    return values


# ---- rules and dashboard ----

def expressions(value):
    """What stands under "expr" anywhere in the dashboard."""
    if isinstance(value, list):
        return [found for each in value for found in expressions(each)]
    if not isinstance(value, dict):
        return []
    return ([value["expr"]] if "expr" in value else []) + expressions(list(value.values()))


def rule_expressions():
    """The rules as promtool sees them are YAML; here the lines behind expr: are enough."""
    with open(RULES, encoding="utf-8") as file:
        text = file.read()
    return [re.sub(r"^>-\s*", "", found).replace("\n", " ") for found in re.findall(
        r"^ +expr: (.*?)\n +(?:for|labels):", text, re.M | re.S)], text


def told_counters():
    """Of /proc/net/xfrm_stat: a kernel without XFRM has none, so those that doctor explains."""
    return set(re.findall(r'\{"(Xfrm\w+)"', manual.read("daemon", "ctl", "doctor_counters.c")))


def check_expression(where, text, types, values):
    """Each selector names a metric, labels and values that the daemon has."""
    wrong = []
    known = {name for name, kind in types.items() if kind != "histogram"} | {
        name + end for name, kind in types.items() if kind == "histogram"
        for end in ("_bucket", "_sum", "_count")}
    for name, _, selector in re.findall(r"\b(secagreed_\w+)(\{([^}]*)\})?", text):
        if name not in known:
            wrong.append(name)
        for label, _, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', selector):
            if label in FOREIGN:
                continue
            has = told_counters() if label == "counter" else values.get((name, label), set())
            wrong += [f"{name} {label}={word}" for word in value.split("|") if word not in has]
    T.ok(not wrong, f"{where}: each metric, label and value is the daemon's", (wrong, text))


def check_dashboard(types, values):
    with open(DASHBOARD, encoding="utf-8") as file:
        dashboard = json.load(file)
    texts = expressions(dashboard)
    T.ok(len(texts) > 10, "the dashboard shows something", len(texts))
    for number, text in enumerate(texts, 1):
        check_expression(f"dashboard, query {number}", text, types, values)
    used = set(re.findall(r"secagreed_\w+", " ".join(texts)))
    missing = {name for name in types if not any(
        other in used for other in (name, name + "_bucket", name + "_sum", name + "_count"))}
    T.equal(missing, set(), "the dashboard shows each metric")
    panels = [panel["id"] for panel in dashboard["panels"]]
    T.equal(len(panels), len(set(panels)), "each panel has an id of its own")
    check_syntax(texts)


def check_syntax(texts):
    """As rules, since promtool reads queries only there."""
    texts = [text.replace("$__rate_interval", "5m").replace("$instance", ".*") for text in texts]
    rules = {"groups": [{"name": "dashboard", "rules": [
        {"record": f"query{number}", "expr": text} for number, text in enumerate(texts)]}]}
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
        json.dump(rules, file)  # which is YAML
        file.flush()
        check_tool("promtool reads each query of the dashboard", "check", "rules", file.name)


def check_rules(types, values):
    check_tool("promtool check rules", "check", "rules", "--lint-fatal", RULES)
    check_tool("promtool test rules: alerts fire where they should, and only there", "test",
               "rules", ALERTS)
    texts, source = rule_expressions()
    names = re.findall(r"- alert: (\w+)", source)
    T.equal(len(texts), len(names), "each alert has an expression")
    for name, text in zip(names, texts):
        check_expression(name, text, types, values)
    with open(ALERTS, encoding="utf-8") as file:
        tested = re.findall(r"^    name: (\w+)$", file.read(), re.M)
    T.equal(sorted(tested), sorted(names), "each alert has a test")
    whole = re.findall(r"- alert: \w+\n(?:.*\n)*?.*severity: (?:critical|warning|info)\n"
                       r" +annotations:\n +summary: .*\n +description: ", source)
    T.equal(len(whole), len(names), "each has a severity, a summary and what to do")


def main():
    text = scrape()
    check_tool("promtool check metrics, on what a daemon writes", "check", "metrics", stdin=text)
    types, samples = read(text)
    check_names(types)
    check_histograms(types, samples)
    check_numbers(samples)
    values = label_values(samples)
    T.part(lambda: check_rules(types, values))
    T.part(lambda: check_dashboard(types, values))
    return T.done()


if __name__ == "__main__":
    sys.exit(main())
