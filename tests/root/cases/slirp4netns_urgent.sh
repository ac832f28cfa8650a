# CVE-2026-9539: a guest that calls more urgent than it has sent got what lay behind it in slirp4netns's memory sent, too.
# packages: slirp4netns util-linux busybox
# not booted: the machine has no python
# needs: /usr/bin/python3 /dev/net/tun
#> AND ALL THAT FOLLOWS
apart sleep 600
busybox ip link set lo up
mkfifo ready
slirp4netns --configure --mtu=1500 --ready-fd=3 "$apart" tap0 3>ready >log 2>&1 &
slirp=$!
cat >host.py <<'END'
import socket

listener = socket.socket()
listener.bind(("127.0.0.1", 8081))
listener.listen()
open("listens", "w").close()
listener.settimeout(60)
peer = listener.accept()[0]
peer.settimeout(60)
peer.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
received, more = b"", b"some"
while more and len(received) < 1000:
    more = peer.recv(1000)
    received += more
print(received)
END
cat >guest.py <<'END'
"""A TCP of a few segments, of an address that the kernel knows nothing of, so that it does not answer for it."""
import socket
import struct

MAC = bytes.fromhex("020000000077")
GUEST, HOST = socket.inet_aton("10.0.2.77"), socket.inet_aton("10.0.2.2")
FIN, SYN, ACK, URG = 1, 2, 16, 32
link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
link.bind(("tap0", 0))
link.settimeout(20)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def arp(operation, mac, address):
    head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    link.send(b"\xff" * 6 + MAC + b"\x08\x06" + head + MAC + GUEST + mac + address)


def send(sequence, acknowledged, flags, data=b"", urgent=0):
    def header(check):
        return struct.pack("!HHIIBBHHH", 5555, 8081, sequence, acknowledged, 5 << 4, flags, 65535, check, urgent)

    def ip(check):
        return struct.pack("!BBHHHBBH", 0x45, 0, 40 + len(data), 1, 0, 64, 6, check) + GUEST + HOST

    pseudo = GUEST + HOST + struct.pack("!HH", 6, 20 + len(data))
    segment = header(checksum(pseudo + header(0) + data + b"\0" * (len(data) % 2))) + data
    link.send(b"\xff" * 6 + MAC + b"\x08\x00" + ip(checksum(ip(0))) + segment)


def answer(wanted):
    """The sequence number of the next segment with these flags."""
    while True:
        frame = link.recv(65535)
        if frame[12:14] == b"\x08\x06" and frame[38:42] == GUEST:
            arp(2, frame[22:28], frame[28:32])
        elif frame[12:14] == b"\x08\x00" and frame[30:34] == GUEST and frame[47] & wanted == wanted:
            return struct.unpack("!I", frame[38:42])[0]


arp(1, b"\0" * 6, HOST)
send(1000, 0, SYN)
theirs = answer(SYN | ACK) + 1
send(1001, theirs, ACK)
send(1001, theirs, ACK | URG, b"AND", urgent=3000)
answer(ACK)
send(1004, theirs, ACK, b" ALL THAT FOLLOWS")
answer(ACK)
send(1021, theirs, ACK | FIN)
answer(ACK)
END
/usr/bin/python3 host.py >received &
host=$!
trap 'kill $slirp $apart $host || :; cat log >&2' EXIT
timeout 60 head -c 1 ready >is-ready
until [ -e listens ]; do
    kill -0 $host || fail 'nobody listens'
    sleep 0.1
done
nsenter --target "$apart" --net /usr/bin/python3 guest.py
wait $host
cat received
[ "$(cat received)" = "b'AND ALL THAT FOLLOWS'" ]
