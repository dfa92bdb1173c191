#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Every legal combination of algorithms, protocol, mode, dialect and address family, on a real
kernel: register, OPTIONS over UDP and TCP, de-register. Both kernels are read back and compared,
key by key, with what the headers and CK and IK ask for; counters and a record of the wire prove
the ESP. The same checks as those of the demo. TAP."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../demo"))

import matrix  # noqa: E402

sys.exit(matrix.main())
