"""Laws of activation patterns as bits, bytes and hex digits, and of unit numbers; of the choice of a word."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regions.complexes import Arithmetic, check_arithmetic
from regions.domain import Coordinates, check_coordinates
from regions.errors import InvalidInputError, check_choice
from regions.network import LocusKind, check_kind
from regions.network.patterns import (
    checked_states,
    flat_units,
    hex_names,
    pack,
    packed_size,
    row_keys,
    state_bytes,
    unit_place,
    unit_places,
    unpack,
)

WIDTHS = st.lists(st.integers(1, 9), max_size=40)


@st.composite
def many_states(draw: st.DrawFn) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Patterns of any number of units, 0 to 200, in any number of rows, 0 to 5."""
    shape = draw(st.integers(0, 5)), draw(st.integers(0, 200))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.random(shape) < draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))


def offsets_of(widths: list[int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.concatenate([[0], np.cumsum(widths, dtype=np.int64)]).astype(np.int64)


@given(many_states())
def test_unpacking_undoes_packing(states: Any) -> None:
    n, n_units = states.shape
    packed = pack(states)
    assert packed.dtype == np.uint8 and packed.shape == (n, packed_size(n_units))
    again = unpack(packed, n_units)
    assert again.dtype == np.bool_ and np.array_equal(again, states)
    for row, one in zip(packed, states, strict=True):
        assert np.array_equal(pack(one), row) and np.array_equal(unpack(row, n_units), one)


@given(st.integers(1, 200), st.data())
def test_a_unit_is_one_bit_the_first_unit_the_lowest_of_the_first_byte(
    n_units: int, data: st.DataObject
) -> None:
    unit = data.draw(st.integers(0, n_units - 1))
    packed = pack(np.arange(n_units) == unit)
    assert int.from_bytes(packed.tobytes(), "little") == 1 << unit


@given(many_states())
def test_bits_beyond_the_last_unit_are_zero_and_are_not_read(states: Any) -> None:
    n_units = states.shape[1]
    packed = pack(states)
    assert np.array_equal(
        unpack(packed, 8 * packed.shape[1])[:, n_units:], np.zeros((len(states), -n_units % 8))
    )
    words = np.concatenate([packed, np.full((len(states), 3), 255, np.uint8)], axis=1)
    assert np.array_equal(unpack(words, n_units), states)


@given(many_states())
def test_keys_and_names_tell_patterns_apart_and_lead_back(states: Any) -> None:
    packed = pack(states)
    keys, names = row_keys(packed), hex_names(packed)
    assert len(keys) == len(names) == len(states)
    for row, key, name in zip(packed, keys, names, strict=True):
        assert key == row.tobytes() == bytes.fromhex(name)
    if states.shape[1]:
        assert len(set(keys)) == len(set(names)) == len(np.unique(states, axis=0))


@given(many_states())
def test_state_bytes_are_one_byte_a_unit(states: Any) -> None:
    for row, key in zip(states, row_keys(states), strict=True):
        assert list(state_bytes(row)) == row.astype(int).tolist()
        assert state_bytes(row.tolist()) == state_bytes(state_bytes(row)) == key


@given(WIDTHS)
def test_a_unit_s_place_and_its_flat_number_name_each_other(widths: list[int]) -> None:
    offsets = offsets_of(widths)
    flat = np.arange(sum(widths))
    expected = [(layer, unit) for layer, width in enumerate(widths) for unit in range(width)]
    layer, unit = unit_places(offsets, flat)
    assert layer.dtype == unit.dtype == np.int64
    assert list(zip(layer.tolist(), unit.tolist(), strict=True)) == expected
    assert [unit_place(offsets, k) for k in flat.tolist()] == expected
    assert np.array_equal(flat_units(offsets, layer, unit), flat)


@given(WIDTHS, st.sampled_from([-1, 0, 1, 10]))
def test_a_number_of_no_unit_is_refused(widths: list[int], beyond: int) -> None:
    offsets = offsets_of(widths)
    number = -1 if beyond < 0 else sum(widths) + beyond
    with pytest.raises(InvalidInputError, match=f"no unit {number}"):
        unit_place(offsets, number)
    with pytest.raises(InvalidInputError, match=f"no unit {number}"):
        unit_places(offsets, [*range(sum(widths)), number])


def test_rows_of_a_table_that_have_no_unit_have_no_flat_number() -> None:
    assert flat_units(np.array([0, 2, 5]), [-1, 1, -1], [-1, 0, -1]).tolist() == [-1, 2, -1]
    assert flat_units(np.array([0]), [-1], [-1]).tolist() == [-1]


@pytest.mark.parametrize("states", [[0, 2], [0.0, 1.0], ["a"], True, [[1, -1]]])
def test_packing_takes_zeros_and_ones_only(states: Any) -> None:
    with pytest.raises(InvalidInputError, match="pattern"):
        pack(states)


@pytest.mark.parametrize(
    "packed", [np.zeros(1, np.uint8), np.zeros((2, 1), np.uint8), np.zeros(9, np.int64), np.uint8(3)]
)
def test_too_few_bytes_for_the_units_are_refused(packed: Any) -> None:
    with pytest.raises(InvalidInputError, match="at least 2 bytes for 9 units"):
        unpack(packed, 9)


@pytest.mark.parametrize("pattern", [[1, 0], [[1, 0, 1]], [1, 0, 2], [0.5, 0.0, 1.0]])
def test_a_pattern_of_another_network_is_refused(pattern: Any) -> None:
    assert checked_states([1, 0, 1], 3).tolist() == [True, False, True]
    with pytest.raises(InvalidInputError, match="pattern"):
        checked_states(pattern, 3)


@pytest.mark.parametrize("given_word", ["b", "", "A", None, 3, ["a"], np.zeros(2)])
@pytest.mark.parametrize(
    ("words", "listed"), [(["a"], "'a'"), (["x", "a"], "'x' or 'a'"), (("x", "y", "a"), "'x', 'y' or 'a'")]
)
def test_a_wrong_word_is_named_with_the_choices(given_word: Any, words: Any, listed: str) -> None:
    check_choice("mode", "a", words)
    with pytest.raises(InvalidInputError) as caught:
        check_choice("mode", given_word, words)
    assert str(caught.value) == f"mode is {given_word!r}; choose {listed}"


@pytest.mark.parametrize(
    ("check", "words", "name"),
    [
        (check_kind, LocusKind, "kind"),
        (check_arithmetic, Arithmetic, "arithmetic"),
        (check_coordinates, Coordinates, "coordinates"),
    ],
)
def test_types_that_are_words_take_each_of_them_and_no_other(check: Any, words: Any, name: str) -> None:
    for word in get_args(words):
        check(word)
        with pytest.raises(InvalidInputError, match=f"{name} is '{word.upper()}'; choose "):
            check(word.upper())
