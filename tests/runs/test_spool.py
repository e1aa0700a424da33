"""Values that lie in a file: all of them come back, in order, by name."""

from __future__ import annotations

from typing import Any

import pytest

from crystalsmith.runs import spool
from crystalsmith.runs.spool import InOrder, Part, Spool


def same(value: Any) -> Any:
    return value


@pytest.mark.parametrize("most", [1, 1 << 24])
def test_values_come_back_in_their_order(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY", most)
    values = {f"ä {k}": {"numbers": [0.1 * k, None], "text": "line\nline" * k} for k in range(50)}
    kept = Spool(same, same)
    for name, value in values.items():
        kept.put(name, value)
    assert dict(kept) == values and list(kept) == list(values) and len(kept) == 50
    kept.put("ä 3", "another")
    kept.put("new", 1)
    assert (
        list(kept)[3] == "ä 3"
        and kept["ä 3"] == "another"
        and kept["new"] == 1
        and kept["ä 4"] == values["ä 4"]
    )
    with pytest.raises(KeyError):
        kept["none"]
    kept.rename(str(k) for k in range(51))
    assert kept["3"] == "another" and kept["50"] == 1 and "new" not in kept


def test_a_part_holds_nothing_itself() -> None:
    kept = Spool(same, same)
    for k in range(5):
        kept.put(str(k), k)
    part = Part(kept, ["3", "1"])
    assert dict(part) == {"3": 3, "1": 1} and len(part) == 2 and "0" not in part
    kept.put("3", 33)
    assert list(part.values()) == [33, 1]
    with pytest.raises(KeyError):
        part["0"]
    places = InOrder(kept, ["4", "3", "1"])
    assert [*places] == [4, 33, 1] and places[-1] == 1 and [*places[:2]] == [4, 33] and len(places) == 3
    with pytest.raises(IndexError):
        places[3]


def test_it_may_be_read_by_threads_while_it_grows() -> None:
    from threading import Thread

    kept = Spool(same, same)
    wrong = []

    def read() -> None:
        for _ in range(20):
            wrong.extend(name for name in list(kept) if kept[name] != [name] * 50)

    kept.put("first", ["first"] * 50)
    readers = [Thread(target=read) for _ in range(3)]
    for one in readers:
        one.start()
    for k in range(300):
        kept.put(str(k), [str(k)] * 50)
    for one in readers:
        one.join()
    assert not wrong and len(kept) == 301
