# What each fuzz target links of the product and of the scenery of the unit tests, as in
# tests/unit/units.mk; tests/fuzz/fuzz_X.c and tests/fuzz/fuzz.c are always in it.
FUZZ_LDFLAGS := -Wl,--wrap=getrandom,--wrap=random_draw
fuzz_header := daemon/packed.c $(addprefix proto/,choose.c compare.c digest.c ipsec3gpp.c option_tag.c sec_build.c sec_header.c select.c server_list.c text.c)
fuzz_header_PKG := libcrypto liblz4
fuzz_sip := tests/fuzz/sip_check.c $(SIP_PROTO)
fuzz_sip_LIBS := -losipparser2
fuzz_sip_flow := tests/fuzz/sip_check.c tests/fuzz/sets.c $(SIP_FLOW) $(FAKE_WORLD)
fuzz_sip_flow_PKG := cmocka libcrypto libconfuse liblz4
fuzz_sip_flow_LIBS := -losipparser2
fuzz_control := tests/fuzz/sets.c tests/fuzz/answers.c $(DOORS)
fuzz_control_PKG := cmocka $(test_resp_PKG)
fuzz_control_LIBS := -losipparser2
fuzz_control_LDFLAGS := -Wl,--wrap=log_wants,--wrap=log_line,--wrap=log_write
fuzz_client := daemon/json/read.c daemon/json/write.c
fuzz_client_PKG := jansson
fuzz_config := $(test_config)
fuzz_config_PKG := libconfuse liblz4
fuzz_kernel := $(addprefix xfrm/,algo.c dump.c event.c histogram.c ip.c msg.c msg_policy.c msg_sa.c netlink.c query.c sockdiag.c txn.c) proto/text.c
fuzz_kernel_PKG := libmnl
fuzz_kernel_LDFLAGS := -Wl,--wrap=socket,--wrap=bind,--wrap=getsockname,--wrap=setsockopt,--wrap=close,--wrap=sendmsg,--wrap=recvmsg
fuzz_store := tests/fuzz/sets.c $(test_restore)
fuzz_store_PKG := cmocka $(test_restore_PKG)
fuzz_conn := tests/fuzz/sets.c daemon/conn.c $(DOORS)
fuzz_conn_PKG := cmocka $(test_conn_PKG)
fuzz_conn_LIBS := -losipparser2
