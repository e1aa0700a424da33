"""Fields of a form: the browser's own, each with a label, a hint and its fault beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nicegui.elements.mixins.value_element import ValueElement

from crystalsmith.serving.pages.order_form import LONGEST


class Field(ValueElement[Any], component="cs_field.js"):
    """A field; ``value`` is what stands in it."""

    VALUE_PROP = "value"
    LOOPBACK = False

    def __init__(
        self, kind: str, label: str, value: Any, on_change: Callable[[], object] | None, **props: Any
    ):
        super().__init__(value=value, on_value_change=None if on_change is None else lambda _: on_change())
        self._props |= {"kind": kind, "name": f"field-{self.id}", "label": label}
        self._props |= {name: prop for name, prop in props.items() if prop not in (None, "")}

    def _handle_value_change(self, value: Any) -> None:
        super()._handle_value_change(value)
        if self._send_update_on_value_change:
            self.run_method("updateValue")

    @property
    def fault(self) -> str:
        """What is wrong with it."""
        return str(self._props.get("fault", ""))

    @fault.setter
    def fault(self, words: str) -> None:
        if words != self.fault:
            self._props["fault"] = words

    @property
    def hint(self) -> str:
        """Words below it where nothing is wrong."""
        return str(self._props.get("hint", ""))

    @hint.setter
    def hint(self, words: str) -> None:
        if words != self.hint:
            self._props["hint"] = words

    def focus(self) -> None:
        """Put the cursor into it."""
        name = self._props["name"]
        self.client.run_javascript(f"document.getElementById('{name}')?.focus()")


def text_field(
    label: str,
    *,
    value: str = "",
    hint: str = "",
    placeholder: str = "",
    keys: str | None = None,
    quiet: bool = False,
    on_change: Callable[[], object] | None = None,
    on_enter: Callable[[], object] | None = None,
) -> Field:
    """A line of text.

    Args:
        label: its name, always visible unless ``quiet``.
        value: what stands in it at first.
        hint: words below it.
        placeholder: an example, shown while it is empty.
        keys: keyboard of a phone: ``numeric`` or ``decimal``.
        quiet: the label is for screen readers alone.
        on_change: called after each key.
        on_enter: called when Enter is pressed.
    """
    field = Field(
        *("text", label, value, on_change),
        hint=hint,
        placeholder=placeholder,
        keys=keys,
        quiet=quiet,
        longest=LONGEST,
    )
    return field if on_enter is None else field.on("enter", lambda _: on_enter())


def select_field(
    label: str,
    options: Mapping[str, str],
    *,
    value: str | None = None,
    hint: str = "",
    quiet: bool = False,
    on_change: Callable[[], object] | None = None,
) -> Field:
    """One of several by a menu; ``options`` maps values to words, of which the first is the default."""
    chosen = next(iter(options)) if value is None else value
    pairs = [list(pair) for pair in options.items()]
    return Field("select", label, chosen, on_change, options=pairs, hint=hint, quiet=quiet)


def choice_field(
    label: str,
    options: Mapping[str, str],
    *,
    value: str | None = None,
    quiet: bool = False,
    on_change: Callable[[], object] | None = None,
) -> Field:
    """One of a few, all visible; ``options`` maps values to words, of which the first is the default."""
    chosen = next(iter(options)) if value is None else value
    pairs = [list(pair) for pair in options.items()]
    return Field("radio", label, chosen, on_change, options=pairs, quiet=quiet)


def check_field(
    label: str, *, value: bool = False, hint: str = "", on_change: Callable[[], object] | None = None
) -> Field:
    """Yes or no."""
    return Field("check", label, value, on_change, hint=hint)
