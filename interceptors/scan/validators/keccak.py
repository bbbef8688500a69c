"""Keccak-256 as Ethereum uses it: the function that was submitted, with other padding than SHA3-256's."""

from __future__ import annotations

_RATE = 136
_MASK = (1 << 64) - 1
_ROTATIONS = (0, 1, 62, 28, 27, 36, 44, 6, 55, 20, 3, 10, 43, 25, 39, 41, 45, 15, 21, 8, 18, 2, 61, 56, 14)
_MOVES = tuple(
    (x + 5 * y, y + 5 * ((2 * x + 3 * y) % 5), _ROTATIONS[x + 5 * y]) for x in range(5) for y in range(5)
)
_ROUND_CONSTANTS = (
    0x0000000000000001, 0x0000000000008082, 0x800000000000808A, 0x8000000080008000, 0x000000000000808B,
    0x0000000080000001, 0x8000000080008081, 0x8000000000008009, 0x000000000000008A, 0x0000000000000088,
    0x0000000080008009, 0x000000008000000A, 0x000000008000808B, 0x800000000000008B, 0x8000000000008089,
    0x8000000000008003, 0x8000000000008002, 0x8000000000000080, 0x000000000000800A, 0x800000008000000A,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
)  # fmt: skip


def keccak_256(data: bytes) -> bytes:
    """Give the digest (the Keccak reference, version 3.0, with capacity 512 and 32 bytes out).

    Args:
        data: what to digest.
    """
    return _sponge(data, 0x01)


def _sponge(data: bytes, suffix: int) -> bytes:
    padding = bytearray(_RATE - len(data) % _RATE)
    padding[0] = suffix
    padding[-1] |= 0x80
    padded = data + padding
    lanes = [0] * 25
    for begin in range(0, len(padded), _RATE):
        for lane in range(_RATE // 8):
            at = begin + 8 * lane
            lanes[lane] ^= int.from_bytes(padded[at : at + 8], "little")
        lanes = _permuted(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])


def _permuted(lanes: list[int]) -> list[int]:
    for constant in _ROUND_CONSTANTS:
        parity = [lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20] for x in range(5)]
        mixed = [
            parity[x - 1] ^ (parity[(x + 1) % 5] << 1 & _MASK) ^ parity[(x + 1) % 5] >> 63 for x in range(5)
        ]
        moved = [0] * 25
        for source, target, rotation in _MOVES:
            lane = lanes[source] ^ mixed[source % 5]
            moved[target] = (lane << rotation & _MASK) | lane >> (64 - rotation)
        lanes = [
            moved[row + x] ^ (~moved[row + (x + 1) % 5] & moved[row + (x + 2) % 5])
            for row in range(0, 25, 5)
            for x in range(5)
        ]
        lanes[0] ^= constant
    return lanes
