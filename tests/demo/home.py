# SPDX-License-Identifier: BSD-2-Clause
"""A home network in one class: registrar and authentication centre (the S-CSCF and HSS of IMS).

It takes SIP requests and returns SIP responses, as if a proxy stood between; it knows nothing of
security associations. Its 401 carries ck and ik for the P-CSCF (TS 24.229 7.2A.1). What it keeps
of a subscriber lives as long as the object.
"""

import binascii
import re

import aka
import sip

SQN_STEP = 32  # the five lowest bits are an index that is not used here, TS 33.102 C.1.1.1


class Subscriber:
    """@k, @opc, @amf in octets. @sqn is the number of the last vector made."""

    def __init__(self, impi, impu, k, opc, amf=b"\x80\x00", sqn=SQN_STEP):
        self.impi = impi
        self.impu = impu
        self.milenage = aka.Milenage(k, opc)
        self.amf = amf
        self.sqn = sqn
        self.pending = None  # the vector that was sent and not answered yet
        self.contact = None

    def next_vector(self):
        self.sqn += SQN_STEP
        self.pending = aka.Vector(self.milenage, self.sqn, self.amf)
        return self.pending


class Home:
    """@challenge: "always", or "initial": a REGISTER over a living set is not challenged again."""

    def __init__(self, realm, subscribers, challenge="always", max_expires=600):
        self.realm = realm
        self.subscribers = {subscriber.impi: subscriber for subscriber in subscribers}
        self.challenge = challenge
        self.max_expires = max_expires

    def receive(self, request):
        """@request is a REGISTER as the P-CSCF passes it on: integrity-protected says how it came
        (TS 24.229 5.4.1.2). Returns the response."""
        authorization = sip.parse_digest(request.get("Authorization"))
        subscriber = self.subscribers.get(authorization.get("username"))
        if subscriber is None:
            return request.reply(403, "Forbidden - unknown private identity")
        try:
            return self._register(request, authorization, subscriber)
        except (aka.AuthenticationFailed, binascii.Error):
            subscriber.pending = None
            return request.reply(403, "Forbidden - authentication failed")

    def _register(self, request, authorization, subscriber):
        pending = subscriber.pending
        answers = pending is not None and authorization.get("nonce") == pending.nonce
        protected = authorization.get("integrity-protected") == "yes"
        if answers and "auts" in authorization:
            aka.check_response(authorization, request.method, b"")  # RFC 3310 3.4
            subscriber.sqn = aka.sqn_of_auts(subscriber.milenage, pending.rand,
                                             authorization["auts"])
            return self._challenge(request, subscriber)
        if answers and protected:
            aka.check_response(authorization, request.method, pending.xres)
            subscriber.pending = None
            return self._accept(request, subscriber)
        if protected and subscriber.contact and self._may_skip(request):
            return self._accept(request, subscriber)
        return self._challenge(request, subscriber)

    def _may_skip(self, request):
        return self.challenge == "initial" or sip.granted_expires(request) == 0

    def _challenge(self, request, subscriber):
        vector = subscriber.next_vector()
        response = request.reply(401, "Unauthorized")
        response.add("WWW-Authenticate", sip.format_digest({
            "realm": self.realm, "nonce": vector.nonce, "algorithm": "AKAv1-MD5", "qop": "auth",
            "ck": vector.ck.hex(), "ik": vector.ik.hex()}))
        return response

    def _accept(self, request, subscriber):
        asked = sip.granted_expires(request)
        granted = min(self.max_expires if asked is None else asked, self.max_expires)
        contact = request.get("Contact")
        response = request.reply(200, "OK")
        if granted and contact:
            subscriber.contact = contact
            bare = re.sub(r";\s*expires\s*=\s*\d+", "", contact, flags=re.I)
            response.add("Contact", f"{bare};expires={granted}")
        else:
            subscriber.contact = None
            response.add("Expires", "0")
        response.add("P-Associated-URI", f"<{subscriber.impu}>")
        for path in request.all("Path"):
            response.add("Path", path)
        return response

