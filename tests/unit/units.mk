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
test_msg_sa_LDFLAGS := -Wl,--wrap=getrandom
test_msg_policy := xfrm/msg_policy.c xfrm/msg.c xfrm/ip.c
test_msg_policy_PKG := libmnl
test_agreement_json := daemon/agreement_json.c proto/select.c proto/ipsec3gpp.c proto/sec_header.c proto/text.c
test_agreement_json_PKG := jansson
XFRM_FAKE := tests/unit/fake_kernel.c xfrm/netlink.c xfrm/msg.c xfrm/ip.c
XFRM_FAKE_LDFLAGS := -Wl,--wrap=socket,--wrap=bind,--wrap=getsockname,--wrap=setsockopt,--wrap=close,--wrap=sendmsg,--wrap=recvmsg
test_txn := xfrm/txn.c xfrm/query.c xfrm/msg_sa.c xfrm/msg_policy.c xfrm/algo.c $(XFRM_FAKE)
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
