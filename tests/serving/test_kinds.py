"""What may be asked for over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from crystalsmith.errors import CrystalsmithError
from crystalsmith.serving.errors import TooLarge
from crystalsmith.serving.kinds import KINDS, Allowed


def uploaded(upload_id: str) -> dict[str, Any]:
    raise AssertionError(upload_id)


ALLOWED = Allowed(most=100, crystal=uploaded)
SALT = {"formula": "NaCl"}


def test_an_order_or_a_list_of_them_with_settings_is_taken():
    given = {"orders": SALT, "seed": 3, "judges": "validity", "best_of": 2}
    assert KINDS["generate"](given, ALLOWED) == {**given, "orders": [SALT]}
    assert KINDS["generate"]({"orders": [SALT, {"formula": "KCl"}]}, ALLOWED)["orders"][1]["formula"] == "KCl"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"orders": []},
        {"orders": "NaCl"},
        {"orders": [1]},
        {"orders": {"formula": "Xx2"}},
        {"orders": {"formula": "NaCl", "colour": "red"}},
        {"orders": {"formula": "<script>alert(1)</script>"}},
        {"orders": SALT, "output": "here"},
        {"orders": SALT, "seed": "1"},
        {"orders": SALT, "seed": True},
        {"orders": SALT, "seed": 10**30},
        {"orders": SALT, "steps": 10**9},
        {"orders": SALT, "new_only": "yes"},
        {"orders": SALT, "sampler": ["a"]},
        {"orders": SALT, "letters": "x" * 1000},
    ],
)
def test_what_is_no_order_or_setting_is_refused_in_one_line(given):
    with pytest.raises(CrystalsmithError) as caught:
        KINDS["generate"](given, ALLOWED)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "given",
    [
        {"orders": {"host": "host.cif", "add": {"Li": 1}}},
        {"orders": {"host": "../../etc/passwd", "add": {"Li": 1}}},
        {"orders": {"host": {"space_group": 225}, "add": {"Li": 1}}},
        {"orders": SALT, "potential": "os:system"},
        {"orders": SALT, "potential": "mace:model.pt"},
        {"orders": SALT, "prototypes": "table.safetensors"},
        {"orders": SALT, "known": ["known.cif"]},
        {"orders": SALT, "workers": 64},
    ],
)
def test_no_file_and_no_python_of_the_server_can_be_named(given):
    with pytest.raises(CrystalsmithError):
        KINDS["generate"](given, ALLOWED)


@pytest.mark.parametrize(
    "given",
    [
        {"orders": {"formula": "NaCl", "count": 101}},
        {"orders": {"formula": "NaCl", "count": 26}, "best_of": 4},
        {"orders": [SALT] * 101},
    ],
)
def test_giant_orders_are_too_large(given):
    with pytest.raises(TooLarge):
        KINDS["generate"](given, ALLOWED)
