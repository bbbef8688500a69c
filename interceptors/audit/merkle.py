"""The Merkle tree over a log's lines, as RFC 6962, section 2.1, has it.

Pure: hashes in, hashes out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

HASH_SIZE = 32
EMPTY = sha256().digest()
"""The root of a tree without leaves."""


def leaf_hash(line: bytes) -> bytes:
    """Hash a leaf."""
    return sha256(b"\0" + line).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash a node by its two children."""
    return sha256(b"\1" + left + right).digest()


@dataclass(slots=True)
class Tree:
    """A tree that grows, of which only the right edge is kept: the roots of its full subtrees.

    Attributes:
        size: how many leaves it has.
        edge: the root of each full subtree, the largest first; as many as `size` has bits that are set.
    """

    size: int = 0
    edge: list[bytes] = field(default_factory=list)

    def append(self, leaf: bytes) -> None:
        """Add the hash of a leaf."""
        edge, size = self.edge, self.size
        while size & 1:
            leaf = node_hash(edge.pop(), leaf)
            size >>= 1
        edge.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Give the root of the whole tree."""
        if not self.edge:
            return EMPTY
        *others, root = self.edge
        for left in reversed(others):
            root = node_hash(left, root)
        return root


def inclusion_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Give the audit path of a leaf (RFC 6962, section 2.1.1).

    Args:
        leaves: the hashes of all leaves.
        index: which leaf, from 0.

    Returns:
        The hashes by which `root_of_path` gets from the leaf to the root, the leaf's sibling first.
    """
    path: list[bytes] = []
    first, end = 0, len(leaves)
    while end - first > 1:
        middle = first + _largest_power_below(end - first)
        if index < middle:
            path.append(_root(leaves[middle:end]))
            end = middle
        else:
            path.append(_root(leaves[first:middle]))
            first = middle
    return path[::-1]


def root_of_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Give the root that an audit path leads to (RFC 9162, section 2.1.3.2).

    Args:
        leaf: the hash of the leaf.
        index: which leaf it is to be.
        size: how many leaves the tree is to have.
        path: the audit path.

    Returns:
        The root, to be compared with the signed one; None where no leaf there has a path of that length.
    """
    if not 0 <= index < size:
        return None
    last, root = size - 1, leaf
    for hash_ in path:
        if last == 0:
            return None
        if index & 1 or index == last:
            root = node_hash(hash_, root)
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            root = node_hash(root, hash_)
        index, last = index >> 1, last >> 1
    return root if last == 0 else None


def _root(leaves: Sequence[bytes]) -> bytes:
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def _largest_power_below(size: int) -> int:
    """Give the largest power of two that is smaller than a size of at least 2."""
    return 1 << (size - 1).bit_length() - 1
