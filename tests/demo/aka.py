#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Authentication and key agreement: Milenage (TS 35.206) and AKAv1-MD5 (RFC 3310).

The network's side, written apart from the phone in tests/ue, so that two implementations have to
agree. Run as a program it checks itself against the sets of TS 35.208.
"""

import base64
import hashlib
import hmac
import os

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


class AuthenticationFailed(Exception):
    """A response or an AUTS that the subscriber's key did not make."""


def xor(a, b):
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def rotate_left(block, bits):
    number = int.from_bytes(block, "big")
    return ((number << bits | number >> (128 - bits)) & (1 << 128) - 1).to_bytes(16, "big")


class Milenage:
    """TS 35.206 section 4.1 with the constants c1..c5, r1..r5 of section 4.2."""

    def __init__(self, k, opc):
        self.opc = opc
        self.cipher = Cipher(algorithms.AES(k), modes.ECB())

    @classmethod
    def from_op(cls, k, op):
        milenage = cls(k, op)
        milenage.opc = xor(milenage.encrypt(op), op)
        return milenage

    def encrypt(self, block):
        return self.cipher.encryptor().update(block)

    def _out(self, rand, bits, constant):
        temp = self.encrypt(xor(rand, self.opc))
        mixed = xor(rotate_left(xor(temp, self.opc), bits), bytes(15) + bytes([constant]))
        return xor(self.encrypt(mixed), self.opc)

    def f1(self, rand, sqn, amf):
        """MAC-A and MAC-S."""
        temp = self.encrypt(xor(rand, self.opc))
        in1 = (sqn + amf) * 2
        out = self.encrypt(xor(temp, rotate_left(xor(in1, self.opc), 64)))
        out = xor(out, self.opc)
        return out[:8], out[8:]

    def f2(self, rand):
        return self._out(rand, 0, 1)[8:]

    def f3(self, rand):
        return self._out(rand, 32, 2)

    def f4(self, rand):
        return self._out(rand, 64, 4)

    def f5(self, rand):
        return self._out(rand, 0, 1)[:6]

    def f5_star(self, rand):
        return self._out(rand, 96, 8)[:6]


class Vector:
    """One authentication vector, TS 33.102 6.3.2. @sqn is a number."""

    def __init__(self, milenage, sqn, amf, rand=None):
        self.rand = rand or os.urandom(16)
        sqn_bytes = sqn.to_bytes(6, "big")
        mac_a = milenage.f1(self.rand, sqn_bytes, amf)[0]
        self.autn = xor(sqn_bytes, milenage.f5(self.rand)) + amf + mac_a
        self.xres = milenage.f2(self.rand)
        self.ck = milenage.f3(self.rand)
        self.ik = milenage.f4(self.rand)

    @property
    def nonce(self):
        """RFC 3310 3.2"""
        return base64.b64encode(self.rand + self.autn).decode()


def keys_of_nonce(milenage, nonce):
    """CK and IK that belong to a challenge, for whoever holds the subscriber's key."""
    rand = base64.b64decode(nonce)[:16]
    return milenage.f3(rand), milenage.f4(rand)


def digest_response(authorization, method, password):
    """The response that @authorization (a dictionary) should hold; RFC 2617 3.2.2, RFC 3310 3.3:
    the password is RES in octets."""
    def md5(*parts):
        return hashlib.md5(b":".join(part if isinstance(part, bytes) else part.encode()
                                     for part in parts)).hexdigest()

    field = authorization.get
    ha1 = md5(field("username", ""), field("realm", ""), password)
    ha2 = md5(method, field("uri", ""))
    if "qop" not in authorization:
        return md5(ha1, field("nonce", ""), ha2)
    return md5(ha1, field("nonce", ""), field("nc", ""), field("cnonce", ""), field("qop"), ha2)


def check_response(authorization, method, password):
    wanted = digest_response(authorization, method, password)
    if not hmac.compare_digest(wanted, authorization.get("response", "").lower()):
        raise AuthenticationFailed("wrong response")


def sqn_of_auts(milenage, rand, auts_base64):
    """SQN_MS of a resynchronisation token, TS 33.102 6.3.3 and 6.3.5."""
    auts = base64.b64decode(auts_base64)
    if len(auts) != 14:
        raise AuthenticationFailed("auts has not 14 octets")
    sqn = xor(auts[:6], milenage.f5_star(rand))
    if not hmac.compare_digest(milenage.f1(rand, sqn, bytes(2))[1], auts[6:]):
        raise AuthenticationFailed("wrong auts")
    return int.from_bytes(sqn, "big")


# TS 35.208 4.3: K, RAND, SQN, AMF, OP; OPc, f1, f1*, f2, f3, f4, f5, f5* (sets 1, 3 and 4)
TEST_SETS = (
    ("465b5ce8b199b49faa5f0a2ee238a6bc 23553cbe9637a89d218ae64dae47bf35 ff9bb4d0b607 b9b9 "
     "cdc202d5123e20f62b6d676ac72cb318",
     "cd63cb71954a9f4e48a5994e37a02baf 4a9ffac354dfafb3 01cfaf9ec4e871e9 a54211d5e3ba50bf "
     "b40ba9a3c58b2a05bbf0d987b21bf8cb f769bcd751044604127672711c6d3441 aa689c648370 451e8beca43b"),
    ("fec86ba6eb707ed08905757b1bb44b8f 9f7c8d021accf4db213ccff0c7f71a6a 9d0277595ffc 725c "
     "dbc59adcb6f9a0ef735477b7fadf8374",
     "1006020f0a478bf6b699f15c062e42b3 9cabc3e99baf7281 95814ba2b3044324 8011c48c0c214ed2 "
     "5dbdbb2954e8f3cde665b046179a5098 59a92d3b476a0443487055cf88b2307b 33484dc2136b deacdd848cc6"),
    ("9e5944aea94b81165c82fbf9f32db751 ce83dbc54ac0274a157c17f80d017bd6 0b604a81eca8 9e09 "
     "223014c5806694c007ca1eeef57f004f",
     "a64a507ae1a2a98bb88eb4210135dc87 74a58220cba84c49 ac2cc74a96871837 f365cd683cd92e96 "
     "e203edb3971574f5a94b0d61b816345d 0c4524adeac041c4dd830d20854fc46b f0b9c08ad02e 6085a86c6f63"),
)


def self_test():
    """True when every output of every set is right."""
    for given, wanted in TEST_SETS:
        k, rand, sqn, amf, op = (bytes.fromhex(word) for word in given.split())
        m = Milenage.from_op(k, op)
        got = [m.opc, *m.f1(rand, sqn, amf), m.f2(rand), m.f3(rand), m.f4(rand), m.f5(rand),
               m.f5_star(rand)]
        if [value.hex() for value in got] != wanted.split():
            return False
    return True


if __name__ == "__main__":
    print("Milenage agrees with TS 35.208" if self_test() else "Milenage is wrong")
    raise SystemExit(0 if self_test() else 1)
