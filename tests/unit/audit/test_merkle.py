from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interceptors.audit.merkle import Tree, inclusion_path, leaf_hash, root_of_path

LEAVES = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    bytes(range(0x50, 0x58)),
    bytes(range(0x60, 0x70)),
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Leaves and roots that implementations of RFC 6962 are tested with: those of Certificate Transparency."""


def definition(leaves: list[bytes]) -> bytes:
    """The root as RFC 6962, section 2.1, defines it."""
    if not leaves:
        return sha256().digest()
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return sha256(b"\1" + definition(leaves[:middle]) + definition(leaves[middle:])).digest()


def grown(leaves: list[bytes]) -> Tree:
    tree = Tree()
    for leaf in leaves:
        tree.append(leaf_hash(leaf))
    return tree


@pytest.mark.parametrize(("size", "root"), list(enumerate(ROOTS)))
def test_known_roots(size: int, root: str) -> None:
    assert grown(LEAVES[:size]).root().hex() == root


@given(st.lists(st.binary(max_size=4), max_size=70))
def test_the_root_is_that_of_the_definition_and_the_edge_no_longer_than_it_must_be(
    leaves: list[bytes],
) -> None:
    tree = grown(leaves)
    assert tree.root() == definition(leaves)
    assert (tree.size, len(tree.edge)) == (len(leaves), len(leaves).bit_count())


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=70), st.data())
def test_a_path_leads_from_its_leaf_to_the_root_and_from_no_other(
    leaves: list[bytes], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    hashes = [leaf_hash(leaf) for leaf in leaves]
    root, path = grown(leaves).root(), inclusion_path(hashes, index)
    assert root_of_path(hashes[index], index, len(leaves), path) == root
    assert root_of_path(leaf_hash(b"another leaf"), index, len(leaves), path) != root
    assert root_of_path(hashes[index], index, len(leaves), [*path, root]) is None
    if path:
        assert root_of_path(hashes[index], index, len(leaves), path[1:]) is None
        assert root_of_path(hashes[index], index, len(leaves), [*path[:-1], bytes(32)]) != root


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_a_leaf_that_is_not_in_the_tree_has_no_root(index: int, size: int) -> None:
    assert root_of_path(bytes(32), index, size, []) is None
