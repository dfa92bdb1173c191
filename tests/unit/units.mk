NO_MEMORY := tests/unit/no_memory.c
NO_MEMORY_LDFLAGS := -Wl,--wrap=malloc,--wrap=calloc
KEY_LEAKS := tests/unit/key_leaks.c
KEY_LEAKS_LDFLAGS := -Wl,--wrap=free
test_text := proto/text.c
test_sec_header := proto/sec_header.c proto/text.c
test_sec_header_LDFLAGS := -Wl,--wrap=malloc,--wrap=calloc
test_ipsec3gpp := proto/ipsec3gpp.c proto/sec_header.c proto/text.c
test_select := proto/select.c proto/ipsec3gpp.c proto/sec_header.c proto/text.c
test_compare := proto/compare.c proto/sec_header.c proto/text.c
test_keymat := proto/keymat.c proto/ipsec3gpp.c proto/sec_header.c proto/text.c
test_keymat_PKG := libcrypto
test_ip := xfrm/ip.c
test_algo := xfrm/algo.c
test_msg_sa := xfrm/msg_sa.c xfrm/msg.c xfrm/algo.c xfrm/ip.c
test_msg_sa_PKG := libmnl
test_msg_policy := xfrm/msg_policy.c xfrm/msg.c xfrm/ip.c
test_msg_policy_PKG := libmnl
test_agreement_json := daemon/json/read.c daemon/json/write.c daemon/agreement_json.c proto/server_list.c proto/sec_build.c proto/select.c proto/ipsec3gpp.c proto/sec_header.c proto/text.c
XFRM_FAKE := tests/unit/fake_kernel.c xfrm/netlink.c xfrm/msg.c xfrm/ip.c
XFRM_FAKE_LDFLAGS := -Wl,--wrap=socket,--wrap=bind,--wrap=getsockname,--wrap=setsockopt,--wrap=close,--wrap=sendmsg,--wrap=recvmsg
test_txn := xfrm/txn.c xfrm/histogram.c xfrm/query.c xfrm/msg_sa.c xfrm/msg_policy.c xfrm/algo.c $(XFRM_FAKE)
test_txn_PKG := libmnl
test_txn_LDFLAGS := $(XFRM_FAKE_LDFLAGS)
test_milenage := tests/ue/milenage.c proto/text.c
test_milenage_PKG := libcrypto
test_aka := tests/ue/aka.c tests/ue/milenage.c proto/text.c
test_aka_PKG := libcrypto
test_ue_digest := tests/ue/digest.c proto/text.c
test_ue_digest_PKG := libcrypto
test_ue_keys := tests/ue/keys.c proto/text.c
test_ue_keys_PKG := libcrypto
test_ue_sa_plan := tests/ue/sa_plan.c tests/ue/ip.c
LOG := log.c log_limit.c event_log.c quote.c journal.c hash.c
FAKE_WORLD := tests/unit/world.c tests/unit/fake_store.c tests/unit/fake_xfrm.c tests/unit/fake_timer.c $(addprefix daemon/,security_server.c drops.c evidence.c sa_set.c set_record.c sa_kernel.c policy.c sa_table.c packed.c spi.c random.c hash.c plan.c refusal.c $(LOG) event.c config.c) $(addprefix proto/,keymat.c decide.c server_list.c sec_build.c select.c ipsec3gpp.c sec_header.c text.c) xfrm/ip.c xfrm/algo.c
test_sa_set := $(FAKE_WORLD)
test_sa_set_PKG := libcrypto libconfuse liblz4
test_sa_set_LDFLAGS := -Wl,--wrap=random_draw
test_event := xfrm/event.c xfrm/msg_sa.c xfrm/msg_policy.c xfrm/algo.c $(XFRM_FAKE)
test_event_PKG := libmnl
test_event_LDFLAGS := $(XFRM_FAKE_LDFLAGS)
test_dump := xfrm/dump.c xfrm/msg_sa.c xfrm/msg_policy.c xfrm/algo.c $(XFRM_FAKE)
test_dump_PKG := libmnl
test_dump_LDFLAGS := $(XFRM_FAKE_LDFLAGS),--wrap=malloc,--wrap=free
test_sockdiag := xfrm/sockdiag.c $(XFRM_FAKE)
test_sockdiag_PKG := libmnl
test_sockdiag_LDFLAGS := $(XFRM_FAKE_LDFLAGS)
test_histogram := xfrm/histogram.c
test_hash := daemon/hash.c $(NO_MEMORY)
test_hash_LDFLAGS := $(NO_MEMORY_LDFLAGS),--wrap=getrandom
test_packed := daemon/packed.c proto/text.c $(NO_MEMORY)
test_packed_PKG := liblz4
test_packed_LDFLAGS := $(NO_MEMORY_LDFLAGS)
test_timer := daemon/timer.c
test_timer_PKG := libevent_core
test_timer_LDFLAGS := -Wl,--wrap=reallocarray
test_random := daemon/random.c
test_random_LDFLAGS := -Wl,--wrap=getrandom
test_spi := daemon/spi.c daemon/random.c daemon/hash.c tests/unit/fake_timer.c
test_spi_LDFLAGS := -Wl,--wrap=random_draw
test_frame_json := daemon/frame_json.c
test_refusal := daemon/refusal.c
test_plan := daemon/plan.c daemon/config.c proto/decide.c proto/server_list.c proto/sec_build.c proto/select.c proto/ipsec3gpp.c proto/sec_header.c proto/text.c xfrm/ip.c xfrm/algo.c
test_plan_PKG := libconfuse liblz4
test_config := daemon/config.c proto/decide.c proto/server_list.c proto/sec_build.c proto/select.c proto/ipsec3gpp.c proto/sec_header.c proto/text.c xfrm/ip.c
test_config_PKG := libconfuse liblz4
FAKE_GUARD := tests/unit/fake_xfrm.c tests/unit/fake_timer.c daemon/plan.c $(LOG:%=daemon/%) daemon/event.c daemon/config.c proto/decide.c proto/server_list.c proto/sec_build.c proto/select.c proto/ipsec3gpp.c proto/sec_header.c proto/text.c xfrm/ip.c xfrm/algo.c
test_guard := daemon/guard.c $(FAKE_GUARD)
test_guard_PKG := libconfuse liblz4
test_guard += daemon/policy.c
test_sa_table := $(FAKE_WORLD)
test_sa_table_PKG := libcrypto libconfuse liblz4
test_check := daemon/check.c daemon/lines.c proto/compare.c $(FAKE_WORLD)
test_check_PKG := libcrypto libconfuse liblz4
test_life := daemon/check.c daemon/lines.c proto/compare.c $(FAKE_WORLD)
test_life_PKG := libcrypto libconfuse liblz4
test_impu := daemon/impu.c
test_offer := daemon/offer.c daemon/impu.c daemon/lines.c proto/choose.c proto/compare.c $(FAKE_WORLD)
test_offer_PKG := libcrypto libconfuse liblz4
test_params := daemon/params.c daemon/json/read.c daemon/json/write.c xfrm/ip.c proto/text.c
test_probe := daemon/probe.c daemon/hash.c proto/keymat.c $(FAKE_GUARD)
test_probe_PKG := libcrypto libconfuse liblz4 libcap-ng
test_probe_LDFLAGS := -Wl,--wrap=capng_have_capability
RPC := xfrm/histogram.c $(addprefix daemon/,conn_count.c rpc.c dispatch.c wipe.c wireshark.c frame_json.c params.c command.c command_sa.c command_export.c command_agreement.c decide_json.c command_daemon.c command_event.c event_json.c set_json.c agreement_json.c command_phone.c history.c diagnosis.c) daemon/json/read.c daemon/json/write.c
test_rpc := $(RPC) $(addprefix daemon/,offer.c check.c lines.c) proto/compare.c $(FAKE_WORLD) $(KEY_LEAKS)
test_rpc_PKG := libcrypto libconfuse liblz4 jansson
test_rpc_LDFLAGS := $(KEY_LEAKS_LDFLAGS)
test_ue_sip := tests/ue/sip.c proto/text.c
test_ue_sip_LIBS := -losipparser2
test_ue_dialog := tests/ue/dialog.c tests/ue/sip.c tests/ue/event.c proto/text.c
test_ue_dialog_PKG := libcrypto
test_ue_dialog_LIBS := -losipparser2
test_ue_agreement := tests/ue/agreement.c tests/ue/sip.c tests/ue/digest.c $(addprefix proto/,choose.c server_list.c sec_build.c ipsec3gpp.c sec_header.c text.c)
test_ue_agreement_PKG := libcrypto
test_ue_agreement_LIBS := -losipparser2
test_ue_agreement_LDFLAGS := -Wl,--wrap=malloc
test_ue_options := tests/ue/options.c tests/ue/event.c tests/ue/ip.c tests/ue/milenage.c proto/ipsec3gpp.c proto/sec_header.c proto/text.c
test_ue_options_PKG := libcrypto
test_option_tag := proto/option_tag.c proto/text.c
test_decide := proto/decide.c proto/text.c
test_sec_build := proto/sec_build.c proto/compare.c proto/sec_header.c proto/text.c $(NO_MEMORY)
test_sec_build_LDFLAGS := $(NO_MEMORY_LDFLAGS)
test_server_list := $(addprefix proto/,server_list.c sec_build.c ipsec3gpp.c sec_header.c text.c)
test_choose := $(addprefix proto/,choose.c server_list.c sec_build.c compare.c ipsec3gpp.c sec_header.c text.c)
test_digest := proto/digest.c proto/sec_header.c proto/text.c
test_digest_PKG := libcrypto
SIP_PROTO := $(addprefix proto/,sip.c sip_edit.c sip_reply.c auth_param.c option_tag.c text.c)
SIP_FLOW := $(addprefix daemon/,impu.c sip_flow.c sip_agree.c sip_answer.c sip_register.c sip_work.c sip_pending.c offer.c check.c lines.c) $(SIP_PROTO) $(addprefix proto/,decide.c server_list.c choose.c sec_build.c compare.c)
test_rpc += daemon/command_sip.c $(SIP_FLOW)
test_rpc_LIBS := -losipparser2
test_auth_param := proto/auth_param.c proto/text.c
test_sip := $(SIP_PROTO)
test_sip_LIBS := -losipparser2
test_sip_edit := $(SIP_PROTO)
test_sip_edit_LIBS := -losipparser2
test_sip_reply := $(SIP_PROTO)
test_sip_reply_LIBS := -losipparser2
test_sip_pending := $(addprefix daemon/,sip_pending.c hash.c refusal.c) xfrm/ip.c tests/unit/fake_timer.c
test_sip_flow := $(SIP_FLOW) $(FAKE_WORLD)
test_sip_flow_PKG := libcrypto libconfuse liblz4
test_sip_flow_LIBS := -losipparser2
test_command_sip := $(RPC) daemon/command_sip.c $(SIP_FLOW) $(FAKE_WORLD) $(KEY_LEAKS)
test_command_sip_PKG := libcrypto libconfuse liblz4 jansson
test_command_sip_LIBS := -losipparser2
test_command_sip_LDFLAGS := $(KEY_LEAKS_LDFLAGS)
test_sip_flow_LDFLAGS := -Wl,--wrap=malloc,--wrap=calloc,--wrap=reallocarray,--wrap=strdup,--wrap=strndup,--wrap=asprintf
test_json := daemon/json/read.c daemon/json/write.c $(NO_MEMORY)
test_json_PKG := jansson
test_json_LDFLAGS := $(NO_MEMORY_LDFLAGS)
test_client := daemon/client/secagree.c daemon/json/read.c daemon/json/write.c
test_client_LIBS := -lpthread
test_decide_json := daemon/json/read.c daemon/json/write.c $(addprefix daemon/,decide_json.c sip_agree.c security_server.c lines.c refusal.c config.c) $(SIP_PROTO) $(addprefix proto/,decide.c server_list.c choose.c sec_build.c compare.c select.c ipsec3gpp.c sec_header.c) xfrm/ip.c
test_decide_json_PKG := jansson libconfuse liblz4
test_decide_json_LIBS := -losipparser2
test_decide_json_LDFLAGS := -Wl,--wrap=malloc,--wrap=calloc,--wrap=reallocarray
test_clock := daemon/clock.c
test_clock_PKG := libevent_core
test_clock_LDFLAGS := -Wl,--wrap=timerfd_create,--wrap=timerfd_settime,--wrap=read
AUDIT := $(addprefix daemon/,audit.c walk.c guard.c orphan.c)
test_audit := $(AUDIT) $(FAKE_WORLD)
test_orphan := $(AUDIT) $(FAKE_WORLD)
test_orphan_PKG := libcrypto libconfuse liblz4
test_audit_PKG := libcrypto libconfuse liblz4
test_watch := daemon/watch.c daemon/upkeep.c $(AUDIT) $(FAKE_WORLD)
test_watch_PKG := libcrypto libconfuse liblz4 libevent_core
test_rpc += $(AUDIT)
test_command_sip += $(AUDIT)
DOORS := $(RPC) $(AUDIT) $(addprefix daemon/,command_sip.c resp.c frame_resp.c http.c frame_http.c metrics.c) xfrm/stat.c $(SIP_FLOW) $(FAKE_WORLD)
test_event_log := $(addprefix daemon/,event.c $(LOG)) proto/text.c xfrm/ip.c tests/unit/fake_timer.c $(NO_MEMORY)
test_event_log_LDFLAGS := $(NO_MEMORY_LDFLAGS),--wrap=sendto
test_frame_resp := daemon/frame_resp.c proto/text.c
test_frame_http := daemon/frame_http.c proto/text.c
test_resp := $(DOORS) $(KEY_LEAKS)
test_resp_PKG := libcrypto libconfuse liblz4 jansson
test_resp_LIBS := -losipparser2
test_resp_LDFLAGS := $(KEY_LEAKS_LDFLAGS)
test_http := $(DOORS)
test_http_PKG := libcrypto libconfuse liblz4 jansson
test_http_LIBS := -losipparser2
test_notify := daemon/notify.c
test_notify_PKG := libevent_core
test_syscall_filter := daemon/syscall_filter.c
test_syscall_filter_PKG := libseccomp
# not a test but a daemon over the fake kernel, for tests/cli/doors.py
fake_daemon := $(addprefix daemon/,conn.c control.c inherit.c listen.c machine.c) $(filter-out tests/unit/fake_timer.c,$(DOORS)) daemon/timer.c
fake_daemon_PKG := libcrypto libconfuse liblz4 jansson libevent_core
fake_daemon_LIBS := -losipparser2
test_wireshark := daemon/wireshark.c xfrm/algo.c xfrm/ip.c proto/text.c
test_export := $(DOORS) $(KEY_LEAKS)
test_export_PKG := libcrypto libconfuse liblz4 jansson
test_export_LIBS := -losipparser2
test_export_LDFLAGS := $(KEY_LEAKS_LDFLAGS)
test_wipe := daemon/wipe.c
test_wipe_LDFLAGS := -Wl,--wrap=free,--wrap=malloc
test_set_record := $(FAKE_WORLD)
test_set_record_PKG := libcrypto libconfuse liblz4
test_store := $(addprefix daemon/,store.c set_record.c packed.c event.c $(LOG) config.c) tests/unit/fake_timer.c $(addprefix proto/,decide.c server_list.c sec_build.c select.c ipsec3gpp.c sec_header.c text.c) xfrm/ip.c
test_store_PKG := libconfuse liblz4
test_store_LIBS := -llmdb
test_store_LDFLAGS := -Wl,--wrap=posix_fallocate
test_restore := daemon/restore.c $(AUDIT) $(FAKE_WORLD)
test_restore_PKG := libcrypto libconfuse liblz4
test_conn := daemon/conn.c $(DOORS) $(KEY_LEAKS)
test_conn_PKG := libcrypto libconfuse liblz4 jansson libevent_core
test_conn_LIBS := -losipparser2
test_conn_LDFLAGS := $(KEY_LEAKS_LDFLAGS),--wrap=getsockopt
test_history := $(addprefix daemon/,history.c event.c $(LOG)) proto/text.c xfrm/ip.c tests/unit/fake_timer.c $(NO_MEMORY)
test_history_LDFLAGS := $(NO_MEMORY_LDFLAGS)
test_diagnosis := daemon/diagnosis.c $(FAKE_WORLD)
test_diagnosis_PKG := libcrypto libconfuse liblz4
test_drops := daemon/drops.c $(FAKE_GUARD)
test_drops_PKG := libconfuse liblz4
test_phone := $(DOORS)
test_phone_PKG := libcrypto libconfuse liblz4 jansson
test_phone_LIBS := -losipparser2
test_stat := xfrm/stat.c xfrm/drops.c
test_stat_LDFLAGS := -Wl,--wrap=fopen
test_reload := daemon/json/read.c daemon/json/write.c $(addprefix daemon/,reload.c notify.c) $(AUDIT) $(FAKE_WORLD)
test_reload_PKG := libcrypto libconfuse liblz4 jansson libevent_core
