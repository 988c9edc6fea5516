# SPDX-License-Identifier: Apache-2.0
# A bridge between two interfaces that loses, repeats, delays and reorders frames, by a seed: what
# netem does, where the host's kernel has it not.
#   lossy-bridge.py FIRST SECOND LOSS REPEAT REORDER DELAY_MS SEED     (percentages)
#   lossy-bridge.py plain NAME      turns the offloads of a station's interface off
import ctypes, fcntl, heapq, random, select, socket, struct, sys, time

SIOCETHTOOL = 0x8946
# Segments are to be lost, not the large pieces that offloads put together: generic-receive,
# generic-segmentation, TCP segmentation, transmit checksum.
SWITCHES = (0x2C, 0x24, 0x1F, 0x17)
ETH_P_ALL = 3
PACKET_OUTGOING = 4


def without_offloads(probe, name):
    for command in SWITCHES:
        value = ctypes.create_string_buffer(struct.pack('II', command, 0), 8)
        request = struct.pack('16sQ16x', name.encode(), ctypes.addressof(value))
        try:
            fcntl.ioctl(probe, SIOCETHTOOL, request)
        except OSError:
            pass


def main():
    if sys.argv[1] == 'plain':
        without_offloads(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), sys.argv[2])
        return
    names = sys.argv[1:3]
    loss, repeat, reorder, delay_ms = (float(word) for word in sys.argv[3:7])
    chance = random.Random(int(sys.argv[7]))
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ends = []
    for name in names:
        without_offloads(probe, name)
        end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        end.bind((name, ETH_P_ALL))
        # Promiscuous: the frames are for the stations behind the bridge.
        index = socket.if_nametoindex(name)
        end.setsockopt(263, 1, struct.pack('iHH8s', index, 1, 0, b''))
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        ends.append(end)
    print('up', flush=True)
    waiting = []
    count = 0
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, _, end, frame = heapq.heappop(waiting)
            try:
                end.send(frame)
            except OSError:
                pass
        timeout = max(0, waiting[0][0] - now) if waiting else None
        for ready in select.select(ends, [], [], timeout)[0]:
            frame, address = ready.recvfrom(70000)
            if address[2] == PACKET_OUTGOING:
                continue
            to = ends[1 - ends.index(ready)]
            if chance.random() * 100 < loss:
                continue
            for _ in range(2 if chance.random() * 100 < repeat else 1):
                late = delay_ms + (chance.random() * 8 if chance.random() * 100 < reorder else 0)
                count += 1
                heapq.heappush(waiting, (time.monotonic() + late / 1000, count, to, frame))


main()
