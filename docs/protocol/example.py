#!/usr/bin/env python3
"""A Segcast client, written from these pages alone: fetches one title and checks every byte of it.

    python3 example.py 127.0.0.1:4870 edge.pub grant.json film

Numbers in brackets are sections. It asks for one object at a time and measures no round trip, so it
is slow; but it survives loss, reordering, a new address and changes of keys. It never begins an
epoch itself: the edge does, and this follows. It does not begin a session anew that was lost. It
wants Python 3.11 and `cryptography` (PyPI).
"""
import base64, hashlib, hmac, json, random, socket, struct, sys, time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

HELLO, WELCOME, COOKIE, DEFER, DATA = 0x01, 0x02, 0x03, 0x04, 0x10  # [2]
REQUEST, REPORT, STATUS, REFUSE = 0x20, 0x21, 0x22, 0x23
PATH_CHALLENGE, PATH_RESPONSE, SIZE_PROBE, CLOSE = 0x26, 0x27, 0x28, 0x2A
SUITE, END, REPAIR, ROOT = 1, 1, 2, 0xFFFF0000
CLIENT_DONE, COME_AGAIN = 32, (6, 19, 21)  # [14]: BUSY, TOO_MANY_REQUESTS, OVERLOADED
ROOM_KIB, WINDOW, REORDERING = 8192, 16384, 0.025
clock = time.monotonic


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def mac(key, *parts):
    return hmac.digest(key, b"".join(parts), "sha256")


def raw(public_key):
    return public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def expand(secret, info, size):
    return mac(secret, info, b"\x01")[:size]  # RFC 5869, at most one block


def check(holds, what):
    if not holds:
        sys.exit(f"example.py: {what}")  # exit code 1


class Noise:
    """Noise_IK_25519_AESGCM_SHA256, the initiator's side; names as in its specification."""

    def __init__(self, prologue, s, rs):
        self.s, self.rs, self.e = s, rs, X25519PrivateKey.generate()
        self.h = self.ck = b"Noise_IK_25519_AESGCM_SHA256".ljust(32, b"\0")
        self.mix_hash(prologue)
        self.mix_hash(raw(rs))

    def mix_hash(self, data):
        self.h = sha256(self.h, data)

    def hkdf(self, data):
        temp = mac(self.ck, data)
        first = mac(temp, b"\x01")
        return first, mac(temp, first, b"\x02")

    def mix_key(self, ours, theirs):
        self.ck, key = self.hkdf(ours.exchange(theirs))
        self.aead = AESGCM(key)
        self.n = 0

    def nonce(self):
        self.n += 1
        return struct.pack(">IQ", 0, self.n - 1)

    def encrypt(self, plain):
        sealed = self.aead.encrypt(self.nonce(), plain, self.h)
        self.mix_hash(sealed)
        return sealed

    def decrypt(self, sealed):
        plain = self.aead.decrypt(self.nonce(), sealed, self.h)
        self.mix_hash(sealed)
        return plain

    def write_message_1(self, payload):
        e = raw(self.e.public_key())
        self.mix_hash(e)
        self.mix_key(self.e, self.rs)
        s = self.encrypt(raw(self.s.public_key()))
        self.mix_key(self.s, self.rs)
        return e + s + self.encrypt(payload)

    def read_message_2(self, message):
        """The payload, and the secrets of client→server and server→client."""
        before = self.h, self.ck
        try:
            re = X25519PublicKey.from_public_bytes(message[:32])
            self.mix_hash(message[:32])
            self.mix_key(self.e, re)
            self.mix_key(self.s, re)
            return self.decrypt(message[32:]), self.hkdf(b"")
        except (InvalidTag, ValueError):
            self.h, self.ck = before  # forged: the genuine one may still come
            return None


class Key:
    """The packet key of one epoch of one direction [3]."""

    def __init__(self, secret, epoch=0):
        self.secret, self.epoch = secret, epoch
        self.aead = AESGCM(expand(secret, b"segcast v1 key", 16))
        self.iv = int.from_bytes(expand(secret, b"segcast v1 iv", 12))

    def next(self):
        return Key(expand(self.secret, b"segcast v1 next", 32), self.epoch + 1)

    def nonce(self, number):
        return (self.iv ^ number).to_bytes(12)


class Ranges:
    """Numbers, as ascending pairs (start, end) that do not touch."""

    def __init__(self):
        self.pairs = []

    def add(self, start, end):
        apart = [p for p in self.pairs if p[1] < start or p[0] > end]
        touching = [p for p in self.pairs if p[1] >= start and p[0] <= end] + [(start, end)]
        self.pairs = sorted(apart + [(min(touching)[0], max(p[1] for p in touching))])

    def missing(self, size):
        starts = [0] + [end for _, end in self.pairs]
        ends = [start for start, _ in self.pairs] + [size]
        return [(a, b) for a, b in zip(starts, ends) if a < b]


class Session:
    def __init__(self, address, edge_key, secret, token):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.connect(address)
        self.index = random.getrandbits(32)
        self.sequence = self.request_id = self.report_number = 0
        self.received, self.seen, self.count, self.unreported = Ranges(), set(), 0, 0
        self.highest, self.echo, self.echo_at, self.report_at = -1, 0, 0.0, None
        self.previous, self.previous_until = None, 0.0
        self.handshake(edge_key, secret, token)

    # -- handshake [5]

    def handshake(self, edge_key, secret, token):
        edge = raw(edge_key)
        edge_id = sha256(b"segcast v1 edge id", edge)[:16]
        prologue = b"segcast v1" + struct.pack(">B16sI", SUITE, edge_id, self.index)
        failed, why = clock() + 10, "no answer"
        while clock() < failed:
            noise, fresh = Noise(prologue, secret, edge_key), clock() + 5
            message = noise.write_message_1(struct.pack(">HHI", 8952, 0, ROOM_KIB) + token)
            hello = struct.pack(">BBBBIQ", 0x10, HELLO, 0, SUITE, 0, 0)
            hello += struct.pack(">IHH", self.index, len(message), 0) + message
            hello = hello.ljust(1168, b"\0")
            tag = mac(sha256(b"segcast v1 mac1", edge), hello)[:16]
            cookie, pause, due = bytes(16), 0.1, clock()
            while clock() < fresh:
                if clock() >= due:
                    self.socket.send(hello + tag + cookie)
                    due, pause = clock() + pause, min(2 * pause, 2)
                packet = self.datagram(due)
                if packet is None or packet[4:8] != struct.pack(">I", self.index):
                    continue
                if packet[1] == COOKIE and len(packet) == 48 and packet[16:32] == tag:
                    if packet[32:] != cookie:
                        cookie, due = packet[32:], clock()
                elif packet[1] == DEFER and len(packet) == 40 and packet[16:32] == tag:
                    code, _, wait = struct.unpack(">HHI", packet[32:])
                    why = f"put off, code {code}"
                    due = clock() + min(max(wait / 1000, 0.1), 2) * random.uniform(1, 1.25)
                elif packet[1] == WELCOME and packet[3] == SUITE and len(packet) >= 20:
                    size = int.from_bytes(packet[16:18])
                    if welcome := noise.read_message_2(packet[20:20 + size]):
                        return self.welcomed(*welcome)
        check(False, why)

    def welcomed(self, payload, secrets):
        code, _, _, self.idle, _, self.server = struct.unpack(">HHHHII", payload[:16])
        check(code == 0, f"the edge refuses the session: code {code}")
        self.sending, self.receiving = Key(secrets[0]), Key(secrets[1])

    # -- packets [1, 3, 4]

    def datagram(self, until):
        self.socket.settimeout(max(until - clock(), 0.0005))
        try:
            packet = self.socket.recv(9000)
        except (TimeoutError, ConnectionRefusedError):
            return None
        return packet if len(packet) >= 16 and packet[0] >> 4 == 1 else None

    def send(self, kind, payload=b"", handle=0, number=0, offset=0):
        now = int(clock() * 1e6) & 0xFFFFFFFF
        epoch = self.sending.epoch & 255
        clear = struct.pack(">BBBBIQ", 0x10, kind, 0, epoch, self.server, self.sequence)
        plain = struct.pack(">IIII", handle, number, offset, now) + payload
        nonce = self.sending.nonce(self.sequence)
        self.socket.send(clear + self.sending.aead.encrypt(nonce, plain, clear))
        self.sequence += 1

    def open(self, packet):
        """Type, flags, frame header and payload of an authentic packet that is new; else None."""
        first, kind, words, epoch, index, number = struct.unpack(">BBBBIQ", packet[:16])
        head = 16 + 4 * words
        if kind < DATA or words > 16 or index != self.index or len(packet) < head + 32:
            return None
        ahead = (epoch - self.receiving.epoch) & 255
        key = self.receiving if ahead < 3 else self.previous
        if 2 < ahead < 255 or ahead == 255 and clock() > self.previous_until:
            return None
        for _ in range(ahead % 255):
            key = key.next()
        try:
            plain = key.aead.decrypt(key.nonce(number), packet[head:], packet[:head])
        except InvalidTag:
            return None
        if number in self.seen or number <= self.highest - WINDOW:
            return None
        if key.epoch > self.receiving.epoch:
            self.previous, self.previous_until, self.receiving = self.receiving, clock() + 3, key
        while self.sending.epoch < key.epoch:
            self.sending = self.sending.next()
        frame = struct.unpack(">IIII", plain[:16])
        self.note(number, frame[3])
        return kind, first & 15, frame, plain[16:]

    # -- reports [7.2, 10]

    def note(self, number, send_time):
        self.seen.add(number)
        self.count += 1
        self.received.add(number, number + 1)
        self.received.pairs = self.received.pairs[-32:]
        if number > self.highest:
            self.highest, self.echo, self.echo_at = number, send_time, clock()
            self.seen.discard(number - 2 * WINDOW)

    def report(self):
        self.report_at, self.unreported = None, 0
        if self.highest < 0:
            return
        self.report_number += 1
        held = int((clock() - self.echo_at) * 1e6) & 0xFFFFFFFF
        ranges = self.received.pairs[::-1][:16]
        payload = struct.pack(">IIIII", self.echo, held, ROOM_KIB, 0, self.count)
        payload += struct.pack(">HHQ", len(ranges), 0, self.highest)
        above = None
        for start, end in ranges:
            payload += struct.pack(">I", above - end) if above is not None else b""
            payload += struct.pack(">I", end - start)
            above = start
        self.send(REPORT, payload, offset=self.report_number)

    # -- objects [7.1, 9]

    def request(self, handle, number, ranges=(), flags=0, again=False):
        self.request_id += not again
        ranges = ranges[:64]
        payload = struct.pack(">IHH", 2000, flags, len(ranges))
        payload += b"".join(struct.pack(">II", *pair) for pair in ranges)
        self.send(REQUEST, payload, handle, number, self.request_id)

    def fetch(self, handle, number, size=None):
        """All bytes of an object; of a manifest page the size is not known before its END."""
        have, body = Ranges(), bytearray(size or 0)
        asked = handle, number, (), 0
        self.request(*asked)
        repair_at, probe_at, probes = None, clock() + 0.25, 0
        while size is None or have.missing(size):
            packet = self.datagram(min(probe_at, repair_at or probe_at, self.report_at or probe_at))
            opened = packet and self.open(packet)
            now = clock()
            if opened:
                kind, flags, (at_handle, at_number, offset, _), payload = opened
                probe_at, probes = now + 0.25, 0
                if kind == DATA:
                    self.unreported += 1
                    self.report_at = self.report_at or now + 0.001
                    stop = offset + len(payload)
                    if (at_handle, at_number) == (handle, number) and stop <= (size or 1 << 22):
                        body.extend(bytes(max(stop - len(body), 0)))
                        body[offset:stop] = payload
                        have.add(offset, stop)
                        size = stop if flags & END else size
                elif kind == STATUS:
                    back = offset - self.request_id
                    finished = struct.unpack(">QQQ", payload[:24])[1]
                    if 0 <= back < 64 and finished >> back & 1:
                        repair_at = repair_at or now + REORDERING
                elif kind == REFUSE and offset == self.request_id:
                    code, _, wait = struct.unpack(">HHI", payload[:8])
                    check(code in COME_AGAIN, f"object {number:#x} is refused: code {code}")
                    repair_at = now + max(wait / 1000, 0.1) * random.uniform(1, 1.25)
                    probe_at = max(probe_at, repair_at + 0.25)
                elif kind == PATH_CHALLENGE:
                    self.send(PATH_RESPONSE, payload[:8])
                elif kind == SIZE_PROBE:
                    self.report_at = now
                elif kind == CLOSE:
                    check(False, f"the edge ends the session: code {int.from_bytes(payload[:2])}")
            if self.unreported >= 32 or self.report_at and now >= self.report_at:
                self.report()
            if repair_at and now >= repair_at:
                missing = have.missing(size or 0xFFFFFFFF) if have.pairs else ()
                asked, repair_at = (handle, number, missing, REPAIR), None
                self.request(*asked)
            if now >= probe_at:
                check(probes < 8, "the edge does not answer any more")
                self.request(*asked, again=True)
                self.report()
                probe_at, probes = now + min(0.25 * 2 ** probes, 2), probes + 1
        self.report()
        return bytes(body)


# -- titles [12, 13, 18]


def key_line(text, kind):
    prefix, _, key = text.strip().partition(":")
    check(prefix == kind, f"not a {kind} line")
    return base64.b64decode(key, validate=True)


def fetch_title(session, handle, set_id, title_key, center, out):
    root = session.fetch(handle, ROOT)
    check(root[104:112] == sha256(center)[:8], "another center signed the manifest")
    signed = b"segcast v1 manifest" + root[:-64]
    Ed25519PublicKey.from_public_bytes(center).verify(root[-64:], signed)  # raises InvalidSignature
    magic, version, flags, its_set, length, size, segments, symbol, parity = struct.unpack(
        ">4sHH16sQIIHH", root[:44])
    described = magic, version, its_set, symbol
    check(described == (b"SGCM", 1, set_id, 1152), "this is not the set's manifest")
    salt, commitment, per_page = root[56:72], root[72:104], int.from_bytes(root[112:116])
    entry = 32 + 16 * -(-(size // 1152 + parity) // 72 if parity else 0)
    digests = root[121 + root[120]:-64]
    prk = mac(salt, title_key or b"")
    right = expand(prk, b"segcast v1 commitment" + set_id, 32) == commitment
    check(flags == 2 or right, "the title key is another title's")
    for segment in range(segments):
        page, place = divmod(segment, per_page)
        if place == 0:
            entries = session.fetch(handle, ROOT + 1 + page)
            check(sha256(entries) == digests[32 * page:][:32], f"page {page + 1} is damaged")
        stored = session.fetch(handle, segment, size)
        check(sha256(stored) == entries[32 + place * entry:][:32], f"segment {segment} is damaged")
        if flags == 1:
            key = expand(prk, b"segcast v1 segment" + set_id + struct.pack(">I", segment), 16)
            stored = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).decryptor().update(stored)
        out.write(stored[:length - segment * size])


def main(address, edge_key, grant_file, out_file):
    host, _, port = address.rpartition(":")
    with open(edge_key) as file:
        edge = X25519PublicKey.from_public_bytes(key_line(file.read(), "segcast-edge-public"))
    with open(grant_file) as file:
        grant = json.load(file)
    token = base64.urlsafe_b64decode(grant["token"] + "=" * (-len(grant["token"]) % 4))
    center = key_line(grant["center_key"], "segcast-center-public")
    secret = key_line(grant["client_secret"], "segcast-client-secret")
    secret = X25519PrivateKey.from_private_bytes(secret)
    title = grant["titles"][0]
    title_key = key_line(title["key"], "segcast-title") if "key" in title else None
    session = Session((host.strip("[]"), int(port)), edge, secret, token)
    with open(out_file, "wb") as out:
        fetch_title(session, 0, bytes.fromhex(title["set"]), title_key, center, out)
    session.send(CLOSE, struct.pack(">HH", CLIENT_DONE, 0))


if __name__ == "__main__":
    main(*sys.argv[1:])
