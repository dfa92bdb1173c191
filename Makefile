# SPDX-License-Identifier: BSD-2-Clause
#
# make             binaries in build/
# make deps        Debian packages for building (root)
# make test        everything, with one closing line of counts (root)
# make demo        a phone registers over real ESP, step by step (root); ARGS=--help for variants
# make unit        unit tests, sanitized, no root needed
# make kernel      kernel tests, in namespaces here or in a throw-away VM (root); KERNEL=6.12 too
# make fuzz        libFuzzer with clang, FUZZ_S=60 seconds for each target; findings in build/fuzz
# make bench       what it costs against the kernel alone (root); BENCH_SCALE=10 times as many phones,
#                  BENCH_ROUNDS=5, ARGS="restart storm" for parts (registration, latency,
#                  growth, restart, storm, datapath, kamailio), KERNEL=6.12; CSV and SVG in
#                  build/bench/out, and in PLOTS=tests/bench/plots, where README shows them
# make install     DESTDIR= PREFIX= LIBDIR= UNITDIR= ZSHDIR=
# make deb         Debian packages in build/deb/
# make clean
#
# CC, CFLAGS, BUILD, V=1 as usual.

VERSION := 0.1.0
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
UNITDIR ?= $(PREFIX)/lib/systemd/system
ZSHDIR  ?= $(PREFIX)/share/zsh/site-functions
BUILD   ?= build
CFLAGS  ?= -O2 -g
ifeq ($(origin CC),default)
CC := gcc
endif

WARN := -Wall -Wextra -Wconversion -Wswitch-enum -Wmissing-prototypes -Wstrict-prototypes \
	-Wshadow -Wvla -Wundef -Wwrite-strings -Wformat=2 -Werror
HARDEN := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
SANITIZE := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
ALL_CPPFLAGS = -I. -D_GNU_SOURCE -DSECAGREED_VERSION='"$(VERSION)"' \
	-DSECAGREED_PREFIX='"$(PREFIX)"' $(CPPFLAGS)
ALL_CFLAGS = -std=gnu11 $(WARN) -MMD -MP $(CFLAGS)

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2))

# What each program is made of. proto/ and xfrm/ know neither each other nor daemon/.
JSON   := $(wildcard daemon/json/*.c)
PROTO  := $(wildcard proto/*.c)
XFRM   := $(wildcard xfrm/*.c)
DAEMON := $(wildcard daemon/*.c)
CTL    := $(wildcard daemon/ctl/*.c)
UE     := $(wildcard tests/ue/*.c)

secagreed_SRC    := $(DAEMON) $(JSON) $(PROTO) $(XFRM)
secagreed_PKG    := libmnl libcrypto libevent_core libconfuse liblz4 libcap-ng libseccomp
secagreed_LIBS   := -losipparser2 -llmdb
secagreectl_SRC  := $(CTL) $(JSON) $(PROTO) $(addprefix daemon/,agreement_json.c config.c decide_json.c \
	hash.c lines.c machine.c plan.c probe.c quote.c refusal.c security_server.c sip_agree.c wipe.c) $(XFRM)
secagreectl_PKG  := libcrypto jansson libconfuse libmnl libcap-ng libnl-3.0
secagreectl_LIBS := -losipparser2
secagree-ue_SRC  := $(UE) $(addprefix proto/,choose.c server_list.c sec_build.c ipsec3gpp.c \
	sec_header.c text.c)
secagree-ue_PKG  := libnl-xfrm-3.0 libnl-3.0 libcrypto
secagree-ue_LIBS := -losipparser2
PROGRAMS := secagreed secagreectl secagree-ue

all: $(PROGRAMS:%=$(BUILD)/%) $(BUILD)/libsecagree.so $(BUILD)/libsecagree.a

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(HARDEN) $(ALL_CFLAGS) -c -o $@ $<

define program_rule
$(BUILD)/$(1): $$($(1)_SRC:%.c=$(BUILD)/obj/%.o)
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(CFLAGS) -pie -Wl,-z,relro,-z,now $$(LDFLAGS) -o $$@ $$^ \
		$$$$(pkg-config --libs $$($(1)_PKG)) $$($(1)_LIBS)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rule,$(p))))

# The client library: no dependencies, and no names but secagree_*.
CLIENT := $(filter-out daemon/client/example.c,$(wildcard daemon/client/*.c)) $(JSON)
SO_MAJOR := 0

$(BUILD)/pic/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(HARDEN) $(ALL_CFLAGS) -fPIC -fvisibility=hidden -c -o $@ $<

$(BUILD)/libsecagree.so: $(CLIENT:%.c=$(BUILD)/pic/%.o) daemon/client/secagree.map
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) -shared -Wl,-soname,libsecagree.so.$(SO_MAJOR) -Wl,-z,relro,-z,now \
		-Wl,--version-script=daemon/client/secagree.map $(LDFLAGS) -o $@ $(filter %.o,$^)
	$(Q)ln -sf libsecagree.so $(BUILD)/libsecagree.so.$(SO_MAJOR)

# One object, so that its inner names stay inside.
$(BUILD)/libsecagree.a: $(CLIENT:%.c=$(BUILD)/pic/%.o)
	$(call say,AR,$@)
	$(Q)$(CC) -r -nostdlib -o $(BUILD)/libsecagree.o $^
	$(Q)objcopy --localize-hidden $(BUILD)/libsecagree.o
	$(Q)rm -f $@ && ar rcs $@ $(BUILD)/libsecagree.o

# The phone and the readers of the kernel tests are a second implementation, on libnl, and so is what
# reads the kernel for secagreectl.
$(addprefix $(BUILD)/obj/daemon/ctl/,kernel_read.o audit.o audit_kernel.o \
	doctor_policy.o) $(BUILD)/obj/tests/%.o $(BUILD)/san/tests/%.o: CPPFLAGS += $$(pkg-config --cflags libnl-3.0)

# ---- tests ----
# tests/unit/units.mk names, for each test program, the product sources that it links.
include tests/unit/units.mk
UNITS    := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
KTESTS   := $(patsubst tests/kernel/%.c,%,$(wildcard tests/kernel/ktest_*.c))
UNIT_PROGRAMS   := $(UNITS:%=$(BUILD)/unit/%)
KERNEL_PROGRAMS := $(KTESTS:%=$(BUILD)/kernel/%) \
	$(wildcard tests/kernel/*.sh tests/kernel/*.py) \
	tests/cli/live.py $(wildcard tests/e2e/*.py)
HOST_PROGRAMS   := tests/layering.sh tests/cli/offline.py tests/cli/online.py \
	tests/cli/operate.py tests/cli/completion.py \
	tests/cli/library.py tests/cli/doors.py tests/cli/doctor.py tests/cli/service.py tests/cli/log.py \
	tests/package.py tests/bench/instructions.py tests/analyse.py \
	$(wildcard tests/doc/*.sh tests/doc/*.py)

$(BUILD)/san/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(SANITIZE) -c -o $@ $<

define unit_rule
$(BUILD)/unit/$(1): $(BUILD)/san/tests/unit/$(1).o $$($(1):%.c=$(BUILD)/san/%.o)
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(SANITIZE) $$($(1)_LDFLAGS) -o $$@ $$^ \
		$$$$(pkg-config --libs cmocka $$($(1)_PKG)) $$($(1)_LIBS)
endef
$(foreach t,$(UNITS) fake_daemon,$(eval $(call unit_rule,$(t))))

# tests/fuzz/fuzz.mk names what each fuzz target links. Always clang: libFuzzer is its.
include tests/fuzz/fuzz.mk
FUZZ_S  ?= 60
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

$(BUILD)/fuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,FUZZ,$<)
	$(Q)clang $(ALL_CPPFLAGS) $(ALL_CFLAGS) -O1 $(FUZZ_SANITIZE) -fsanitize=fuzzer-no-link \
		-c -o $@ $<

define fuzz_rule
$(BUILD)/fuzz/$(1): $$(addprefix $(BUILD)/fuzz/obj/,tests/fuzz/$(1).o tests/fuzz/fuzz.o \
		$$(sort $$($(1):%.c=%.o)))
	$$(call say,LINK,$$@)
	$$(Q)clang $$(FUZZ_SANITIZE) -fsanitize=fuzzer $$(FUZZ_LDFLAGS) $$($(1)_LDFLAGS) -o $$@ $$^ \
		$$(if $$($(1)_PKG),$$$$(pkg-config --libs $$($(1)_PKG))) $$($(1)_LIBS)
endef
$(foreach t,$(FUZZERS),$(eval $(call fuzz_rule,$(t))))

$(BUILD)/kernel/ktest_%: $(BUILD)/obj/tests/kernel/ktest_%.o $(XFRM:%.c=$(BUILD)/obj/%.o)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) -pie -o $@ $^ $$(pkg-config --libs libmnl libnl-xfrm-3.0 libnl-3.0)

# What each program of the benchmarks links of the product.
BENCH_PHONES := tests/bench/phones.c $(addprefix daemon/,plan.c config.c) $(addprefix proto/,keymat.c \
	decide.c server_list.c sec_build.c select.c ipsec3gpp.c sec_header.c text.c)
bench_parse_time := $(addprefix proto/,digest.c option_tag.c sec_header.c text.c)
bench_parse_time_PKG := libcrypto
bench_kernel := $(BENCH_PHONES) $(XFRM)
bench_kernel_PKG := libmnl libcrypto libconfuse
bench_load := tests/bench/calls.c $(BENCH_PHONES) xfrm/ip.c xfrm/algo.c
bench_load_PKG := libcrypto libconfuse
bench_instructions := tests/bench/calls.c tests/bench/phones.c $(JSON) $(PROTO) $(XFRM) \
	$(filter-out daemon/main.c,$(DAEMON))
bench_instructions_PKG := $(secagreed_PKG)
bench_instructions_LIBS := $(secagreed_LIBS)
bench_instructions_LDFLAGS := -Wl,--wrap=socket,--wrap=bind,--wrap=getsockname,--wrap=setsockopt \
	-Wl,--wrap=close,--wrap=sendmsg,--wrap=recvmsg,--wrap=getrandom
bench_packets := $(BENCH_PHONES) $(XFRM)
bench_packets_PKG := $(bench_kernel_PKG)
BENCHES := parse_time kernel load packets instructions

define bench_rule
$(BUILD)/bench/$(1): $(BUILD)/obj/tests/bench/$(1).o $$(bench_$(1):%.c=$(BUILD)/obj/%.o)
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(CFLAGS) -pie $$(bench_$(1)_LDFLAGS) -o $$@ $$^ \
		$$$$(pkg-config --libs $$(bench_$(1)_PKG)) $$(bench_$(1)_LIBS)
endef
$(foreach b,$(BENCHES),$(eval $(call bench_rule,$(b))))

units: $(UNIT_PROGRAMS) $(BUILD)/unit/fake_daemon
fuzzers: $(FUZZERS:%=$(BUILD)/fuzz/%)
$(BUILD)/kernel/killat: $(BUILD)/obj/tests/kernel/killat.o
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) -pie -o $@ $^

# What the daemon is loaded with to see things fail.
$(BUILD)/kernel/refuse.so: $(BUILD)/pic/tests/kernel/refuse.o
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(CC) $(CFLAGS) -shared -o $@ $^

ktests: all $(KTESTS:%=$(BUILD)/kernel/%) $(BUILD)/kernel/killat $(BUILD)/kernel/refuse.so

deps:
	@tests/deps.sh build

test-deps:
	@tests/deps.sh test

# Each part begins its own count, ends with one line "N passed, N failed, N skipped", and is red when
# that says so. `test` counts all of them together.
RUN := @tests/run --results $(BUILD)/tests/results
VM  := tests/vm/run $(if $(KERNEL),--kernel $(KERNEL))

unit: test-deps
	$(Q)$(MAKE) units
	$(RUN) --begin $(UNIT_PROGRAMS) --summary

# tests/kernel/upgrade.sh needs the package.
kernel: test-deps
	$(Q)$(MAKE) ktests $(BUILD)/deb/made
	$(RUN) --begin --vm "$(VM)" $(KERNEL_PROGRAMS) --summary

fuzz test: export FUZZ_DIR := $(BUILD)/fuzz
fuzz test: export FUZZ_S := $(FUZZ_S)
# The same tree passes or fails twice alike; what is new is searched for by make fuzz.
test: export FUZZ_SEED := 1
fuzz: test-deps
	$(Q)$(MAKE) fuzzers
	$(RUN) --begin --limit $$((4 * $(FUZZ_S) + 600)) tests/fuzz/run.sh --summary

BENCH_SCALE  ?= 1
BENCH_ROUNDS ?= 3
BENCH_OUT    := $(BUILD)/bench/out$(KERNEL:%=-%)
# A hundred thousand sets take 2 GB of a machine, some parts have more of them.
bench: export SECAGREE_VM_MEMORY_MIB ?= $(shell awk 'BEGIN { print 2048 + 240 * int($(BENCH_SCALE)) }')
BENCH_LIMIT_S = $(shell awk 'BEGIN { print 7200 * int($(BENCH_SCALE) + 1) }')

bench: test-deps
	$(Q)$(MAKE) all $(BENCHES:%=$(BUILD)/bench/%)
	$(Q)$(BUILD)/bench/parse_time
	$(Q)tests/bench/instructions.py --print
	$(Q)$(VM) --steady --timeout $(BENCH_LIMIT_S) --out $(BENCH_OUT) -- tests/bench/bench \
		--scale $(BENCH_SCALE) --rounds $(BENCH_ROUNDS) --out $(abspath $(BENCH_OUT)) $(ARGS)
	$(if $(PLOTS),$(Q)mkdir -p $(PLOTS) && cp $(BENCH_OUT)/* $(PLOTS))

demo: test-deps
	$(Q)$(MAKE) all
	$(Q)$(VM) -- tests/demo/demo $(ARGS)

# Both compilers; every unit and host test, instructions counted; a minute of each fuzz target; the
# kernel tests and the demo as the README has it, in two guests.
test: test-deps
	$(Q)$(MAKE) all units ktests fuzzers $(BUILD)/bench/instructions
	$(Q)$(MAKE) CC=clang BUILD=$(BUILD)/clang all
	$(RUN) --begin $(UNIT_PROGRAMS) $(HOST_PROGRAMS)
	$(RUN) --limit $$((4 * $(FUZZ_S) + 600)) tests/fuzz/run.sh
	$(Q)$(MAKE) $(BUILD)/deb/made
	$(RUN) --vm "$(VM)" $(KERNEL_PROGRAMS) tests/demo/demo
	$(RUN) --summary

install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man7 \
		$(DESTDIR)$(PREFIX)/share/man/man8 $(DESTDIR)$(PREFIX)/share/doc/secagreed
	install -m 0755 $(BUILD)/secagreed $(BUILD)/secagreectl $(DESTDIR)$(PREFIX)/sbin
	install -m 0755 $(BUILD)/secagree-ue $(DESTDIR)$(PREFIX)/bin
	install -d $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(LIBDIR)/pkgconfig
	install -m 0644 daemon/client/secagree.h $(DESTDIR)$(PREFIX)/include
	install -m 0644 $(BUILD)/libsecagree.a $(DESTDIR)$(LIBDIR)
	install -m 0644 $(BUILD)/libsecagree.so $(DESTDIR)$(LIBDIR)/libsecagree.so.$(VERSION)
	ln -sf libsecagree.so.$(VERSION) $(DESTDIR)$(LIBDIR)/libsecagree.so.$(SO_MAJOR)
	ln -sf libsecagree.so.$(SO_MAJOR) $(DESTDIR)$(LIBDIR)/libsecagree.so
	sed 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(VERSION)|' \
		daemon/client/libsecagree.pc.in > $(DESTDIR)$(LIBDIR)/pkgconfig/libsecagree.pc
	install -d $(DESTDIR)$(PREFIX)/share/secagreed $(DESTDIR)$(PREFIX)/share/man/man3
	install -m 0644 daemon/client/secagree.py $(DESTDIR)$(PREFIX)/share/secagreed
	install -m 0644 conf/man/*.3 $(DESTDIR)$(PREFIX)/share/man/man3
	install -m 0644 conf/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 0644 conf/man/*.5 $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 0644 conf/man/*.7 $(DESTDIR)$(PREFIX)/share/man/man7
	install -m 0644 conf/man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 0644 README.md LICENSE conf/secagreed.conf $(DESTDIR)$(PREFIX)/share/doc/secagreed
	install -d $(DESTDIR)$(PREFIX)/share/doc/secagreed/kamailio
	install -m 0644 conf/kamailio/* $(DESTDIR)$(PREFIX)/share/doc/secagreed/kamailio
	install -d $(DESTDIR)$(PREFIX)/share/doc/secagreed/opensips
	install -m 0644 conf/opensips/opensips.cfg conf/opensips/sec_agree.py \
		$(DESTDIR)$(PREFIX)/share/doc/secagreed/opensips
	install -d $(DESTDIR)$(PREFIX)/share/doc/secagreed/prometheus \
		$(DESTDIR)$(PREFIX)/share/doc/secagreed/grafana
	install -m 0644 conf/prometheus/secagreed.rules.yml $(DESTDIR)$(PREFIX)/share/doc/secagreed/prometheus
	install -m 0644 conf/grafana/secagreed.json $(DESTDIR)$(PREFIX)/share/doc/secagreed/grafana
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(ZSHDIR)
	install -m 0644 conf/completion/secagreectl.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/secagreectl
	install -m 0644 conf/completion/_secagreectl $(DESTDIR)$(ZSHDIR)
	install -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(PREFIX)/lib/sysusers.d
	install -m 0644 conf/systemd/secagreed.socket $(DESTDIR)$(UNITDIR)
	sed 's|=/usr/sbin/|=$(PREFIX)/sbin/|' conf/systemd/secagreed.service \
		> $(DESTDIR)$(UNITDIR)/secagreed.service
	install -m 0644 conf/systemd/secagreed.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/secagreed.conf

# debian/ must stand at the top of the tree that is built: a copy of what there is, without objects.
deb:
	@tests/deps.sh deb
	rm -rf $(BUILD)/deb
	mkdir -p $(BUILD)/deb/secagreed-$(VERSION)
	cp -a proto xfrm daemon tests conf Makefile README.md LICENSE $(BUILD)/deb/secagreed-$(VERSION)
	cp -a conf/debian $(BUILD)/deb/secagreed-$(VERSION)
	cd $(BUILD)/deb/secagreed-$(VERSION) && unset MAKEFLAGS MAKELEVEL BUILD CFLAGS CC && \
		dpkg-buildpackage --no-sign --build=binary
	rm -rf $(BUILD)/deb/secagreed-$(VERSION)
	@touch $(BUILD)/deb/made
	@ls $(BUILD)/deb/*.deb

$(BUILD)/deb/made: $(shell find proto xfrm daemon tests/ue conf Makefile README.md LICENSE \
		-type f ! -name '*.pyc')
	$(Q)$(MAKE) deb

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -path $(BUILD)/deb -prune -o -type f -name '*.d' -print 2>/dev/null)
.PHONY: all deps test-deps units fuzzers ktests unit kernel fuzz bench demo test install deb clean
.DELETE_ON_ERROR:
