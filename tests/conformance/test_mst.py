"""Merkle search trees: prefixes and layers."""

from __future__ import annotations

import pytest

from syncd.atproto.mst import common_prefix, layer_of

from .suite import Vector


@pytest.mark.vectors("mst/common_prefix.json")
def test_keys_share_the_prefix_that_others_find(vector: Vector) -> None:
    left, right = vector.value["left"].encode(), vector.value["right"].encode()
    assert common_prefix(left, right) == vector.value["len"]


@pytest.mark.vectors("mst/key_heights.json")
def test_a_key_lies_on_the_layer_where_others_put_it(vector: Vector) -> None:
    assert layer_of(vector.value["key"]) == vector.value["height"]


@pytest.mark.vectors("mst/example_keys.txt")
def test_the_second_character_of_an_example_key_is_its_layer(vector: Vector) -> None:
    assert layer_of(vector.value) == int(vector.value[1])
