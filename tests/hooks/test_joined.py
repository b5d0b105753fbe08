"""Several inputs of a hook as one."""

from __future__ import annotations

import json

from syncd.hooks.joined import joined


def test_one_input_stays_as_it_is() -> None:
    assert joined([b"any bytes"]) == b"any bytes"


def test_the_later_word_about_a_path_counts_and_no_path_is_lost() -> None:
    first = {"version": 1, "rev": "a", "records": [{"path": "c/1", "deed": "changed"}]}
    records = [{"path": "c/2", "deed": "changed"}, {"path": "c/1", "deed": "deleted"}]
    second = {"version": 1, "rev": "b", "records": records}
    given = joined([json.dumps(each).encode() for each in (first, second)])
    assert given.endswith(b"\n")
    assert json.loads(given) == {
        "version": 1,
        "rev": "b",
        "records": [{"path": "c/1", "deed": "deleted"}, {"path": "c/2", "deed": "changed"}],
    }


def test_an_error_is_not_lost_to_a_later_input_without_one() -> None:
    first: dict[str, object] = {"error": {"code": "x"}, "held": [], "rev": None}
    second = {"error": None, "held": [{"path": "c/1"}], "rev": None}
    given = joined([json.dumps(each).encode() for each in (first, second)])
    assert json.loads(given) == {
        "error": {"code": "x"},
        "held": [{"path": "c/1"}],
        "rev": None,
    }
