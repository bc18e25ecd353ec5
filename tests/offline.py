"""A command in a network namespace that leads nowhere, and every packet that left for there.

``unshare --net python -m tests.offline FILE COMMAND…``: all that is not loopback is routed into a device that this
process reads, and does not answer; where it was for comes into the file, one a line: addresses, and names asked for.
"""

import fcntl
import ipaddress
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path

_SET_INTERFACE, _TUN_WITHOUT_HEADER = 0x400454CA, 0x1001  # TUNSETIFF; IFF_TUN | IFF_NO_PI
_DEVICE = "out"
_UDP, _NAME_SERVER = 17, 53


def open_device() -> int:
    """The device, and all routes into it."""
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, _SET_INTERFACE, struct.pack("16sH22x", _DEVICE.encode(), _TUN_WITHOUT_HEADER))
    for line in ("link set lo up", f"addr add 192.0.2.1/24 dev {_DEVICE}", f"link set {_DEVICE} up"):
        subprocess.run(["ip", *line.split()], check=True)
    subprocess.run(["ip", "route", "add", "default", "dev", _DEVICE], check=True)
    return device


def read(device: int, found: list[str]) -> None:
    """Collect where packets are for, but those that the kernel itself sends to its neighbours (multicast)."""
    while True:
        packet = os.read(device, 65536)
        raw = packet[16:20] if packet[0] >> 4 == 4 else packet[24:40]
        address = ipaddress.ip_address(raw)
        if not address.is_multicast:
            found.append(asked_name(packet) or str(address))


def asked_name(packet: bytes) -> str | None:
    """The name in a question to a name server (RFC 1035, 4.1.2), by UDP on IPv4."""
    if packet[0] >> 4 != 4 or packet[9] != _UDP or int.from_bytes(packet[22:24], "big") != _NAME_SERVER:
        return None
    at, labels = 40, []
    while at < len(packet) and packet[at]:
        labels.append(packet[at + 1 : at + 1 + packet[at]].decode(errors="replace"))
        at += 1 + packet[at]
    return ".".join(labels)


if __name__ == "__main__":
    packets: list[str] = []
    threading.Thread(target=read, args=(open_device(), packets), daemon=True).start()
    code = subprocess.run(sys.argv[2:], check=False).returncode
    Path(sys.argv[1]).write_text("\n".join(packets))
    sys.exit(code)
