#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The Debian packages: they build, lintian finds nothing, each file is where it belongs; installed
over a copy-on-write view of this machine they do what they should and leave nothing when purged.
The units of systemd are good, and as closed as they are said to be. Needs root. TAP.
"""
import glob
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "cli"))

from tap import Tap  # noqa: E402

BUILD = os.path.join(ROOT, os.environ.get("BUILD") or "build")
DEB = os.path.join(BUILD, "deb")
EXPOSURE = 2.0  # systemd-analyze security: from 0, safe, to 10
T = Tap()

FILES = {
    "secagreed": {"etc/secagreed/secagreed.conf", "lib/systemd/system/secagreed.service",
                  "lib/systemd/system/secagreed.socket", "usr/lib/sysusers.d/secagreed.conf",
                  "usr/sbin/secagreectl", "usr/sbin/secagreed",
                  "usr/share/bash-completion/completions/secagreectl",
                  "usr/share/zsh/vendor-completions/_secagreectl",
                  "usr/share/man/man5/secagreed.conf.5.gz",
                  "usr/share/man/man7/secagreed-control.7.gz",
                  "usr/share/man/man8/secagreectl.8.gz", "usr/share/man/man8/secagreed.8.gz"},
    "libsecagree0": {"usr/lib/*/libsecagree.so.*", "usr/lib/*/libsecagree.so.0"},
    "libsecagree-dev": {"usr/include/secagree.h", "usr/lib/*/libsecagree.a",
                        "usr/lib/*/libsecagree.so", "usr/lib/*/pkgconfig/libsecagree.pc",
                        "usr/share/man/man3/libsecagree.3.gz", "usr/share/secagreed/secagree.py"},
    "secagree-ue": {"usr/bin/secagree-ue", "usr/share/man/man1/secagree-ue.1.gz"},
}

# Run as root of the view, with the packages to install.
INSTALLED = r"""
set -e
dpkg --install "$@" >/tmp/dpkg.log 2>&1 || { cat /tmp/dpkg.log; exit 1; }
echo "config: $(secagreed --check-config)"
echo "version: $(secagreed --version)"
echo "user: $(getent passwd secagreed | cut -d: -f1,6,7)"
echo "enabled: $(find /etc/systemd -name 'secagreed*')"
echo "verify: $(systemd-analyze --man=no verify /lib/systemd/system/secagreed.service \
	/lib/systemd/system/secagreed.socket 2>&1 | grep secagreed)"
echo "library: $(AUTOPKGTEST_TMP=/tmp /tmp/tests/library 2>&1)"
dpkg --purge secagreed libsecagree0 libsecagree-dev secagree-ue >/tmp/dpkg.log 2>&1 ||
	{ cat /tmp/dpkg.log; exit 1; }
"""

# Lays the view with the packages of $1 and the tests of $2, runs $SCRIPT in it with the other
# arguments, and says which files are new, changed or gone
# afterwards, but for what dpkg and the commands of users keep for themselves.
VIEW = r"""
set -e
mount -t tmpfs -o mode=0755 tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root
mount --rbind /dev /mnt/root/dev
mount -t proc proc /mnt/root/proc
mount -t tmpfs tmpfs /mnt/root/run
mount -t tmpfs tmpfs /mnt/root/tmp
mkdir /mnt/root/tmp/deb /mnt/root/tmp/tests
mount --bind "$1" /mnt/root/tmp/deb
mount --bind "$2" /mnt/root/tmp/tests
echo view
shift 2
chroot /mnt/root sh -c "$SCRIPT" sh "$@"
cd /mnt/upper
find . ! -type d ! -path './var/lib/dpkg/*' ! -path './var/log/*' ! -path './var/cache/*' \
	! -path './etc/*-' ! -path './etc/.pwd.lock' ! -name ld.so.cache |
	while read -r file; do cmp -s "$file" "/$file" || echo "left: $file"; done
find . -name '*secagree*' ! -path './var/lib/dpkg/*' | sed 's/^/left: /'
"""


def run(*argv, **more):
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "BUILD", "CC", "CFLAGS")}
    return subprocess.run(argv, capture_output=True, text=True, check=False, cwd=ROOT,
                          env={**environment, "LC_ALL": "C.UTF-8", **more})


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def package(name):
    return glob.glob(os.path.join(DEB, f"{name}_*.deb"))[0]


def builds():
    done = run("make", "deb", f"BUILD={BUILD}")
    T.ok(done.returncode == 0, "make deb builds the packages",
         done.stdout[-3000:] + done.stderr[-3000:])
    if done.returncode:
        return
    done = run("lintian", "--allow-root", "--fail-on", "error,warning",
               *glob.glob(os.path.join(DEB, "*.changes")))
    T.ok(done.returncode == 0 and not done.stdout, "lintian finds nothing", done.stdout)


def as_pattern(path):
    path = re.sub(r"\.so\.\d+\.\d.*", ".so.*", path)
    return re.sub(r"/lib/[\w-]+-linux-gnu\w*/", "/lib/*/", path)


def contents():
    for name, files in FILES.items():
        listed = run("dpkg-deb", "--contents", package(name)).stdout.splitlines()
        paths = {as_pattern(line.split(" -> ")[0].split(" ./")[1]) for line in listed
                 if not line.startswith("d")}
        paths = {path for path in paths if not path.startswith("usr/share/doc/")}
        T.equal(sorted(paths), sorted(files), f"{name} has its files, and no other")
    listed = run("dpkg-deb", "--contents", package("secagreed")).stdout
    T.ok(all(f"/usr/share/doc/secagreed/examples/{name}" in listed for name in (
        "prometheus/secagreed.rules.yml", "grafana/secagreed.json", "kamailio/kamailio.cfg",
        "kamailio/kamailio.lua", "opensips/opensips.cfg", "opensips/sec_agree.py")),
         "SIP servers, alerts and a dashboard are among its examples", listed)
    conffiles = run("dpkg-deb", "--info", package("secagreed"), "conffiles").stdout.split()
    T.equal(conffiles, ["/etc/secagreed/secagreed.conf"], "the configuration is a conffile")


def tables_agree():
    version = re.search(r"^VERSION := (\S+)", read("Makefile"), re.M)[1]
    T.ok(read("conf", "debian", "changelog").startswith(f"secagreed ({version}) "),
         "the newest entry of the changelog has the version of the Makefile", version)
    lists = read("conf", "debian", "control").split("Build-Depends:")[1].split("\nStandards")[0]
    needed = {word.strip() for word in lists.split(",")}
    needed -= {"", "debhelper-compat (= 13)", "dh-sequence-installsysusers"}
    listed = set(re.search(r"^build='\n(.*?)'", read("tests", "deps.sh"), re.M | re.S)[1].split())
    T.equal(sorted(needed), sorted(listed - {"gcc", "libc6-dev"}),
            "Build-Depends is the list of tests/deps.sh")


def installs():
    packages = [f"/tmp/deb/{os.path.basename(package(name))}" for name in FILES]
    done = run("unshare", "--mount", "sh", "-c", VIEW, "sh", DEB,
               os.path.join(ROOT, "conf", "debian", "tests"), *packages, SCRIPT=INSTALLED)
    if not done.stdout.startswith("view\n"):
        T.count += 1
        print(f"ok {T.count} - # skip no copy-on-write view of this machine: {done.stderr.strip()}")
        return
    said = dict(re.findall(r"^(\w+): ?(.*)$", done.stdout, re.M))
    T.ok(done.returncode == 0, "installed, looked at, and purged", done.stdout + done.stderr)
    T.equal(said.get("config"), "/etc/secagreed/secagreed.conf: good, 2 listeners",
            "the installed configuration is good")
    T.ok(said.get("version", "").startswith("secagreed "), "the daemon runs", said)
    T.equal(said.get("user"), "secagreed:/:/usr/sbin/nologin", "its user is there")
    T.equal(said.get("enabled"), "", "nothing is started before it has been configured")
    T.equal(said.get("verify"), "", "systemd finds no fault with the units")
    T.ok(int(said.get("library") or 0) < 0, "a program is built against the library", said)
    left = re.findall(r"^left: (.*)$", done.stdout, re.M)
    T.ok(not left, "purged, there is no trace", left)


def closed():
    unit = os.path.join(ROOT, "conf", "systemd", "secagreed.service")
    done = run("systemd-analyze", "--no-pager", "security", "--offline=true",
               f"--threshold={EXPOSURE * 10:.0f}", unit)
    found = re.search(r"Overall exposure level for secagreed.service: ([\d.]+)", done.stdout)
    T.ok(done.returncode == 0 and found and float(found[1]) <= EXPOSURE,
         f"systemd-analyze security: exposure {found and found[1]}, at most {EXPOSURE}",
         done.stdout[-200:] + done.stderr)


def main():
    for part in (tables_agree, closed, builds):
        T.part(part)
    if glob.glob(os.path.join(DEB, "*.changes")):
        T.part(contents)
        T.part(installs)
    return T.done()


if __name__ == "__main__":
    sys.exit(main())
