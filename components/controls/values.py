"""What the controls of a page say, as the engine takes it; and the same in the browser, for files and links."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from attribution.models.targets.labels import EVERY
from attribution.request import parse

ITSELF = NOTHING = ""
"""The choice that stands for no target or no contrast."""
EVERYTHING = EVERY
POSITION_HELP = (
    "Which token: a number counting from 0, several separated by commas, or 'sequence' for the whole "
    "generated text. Empty: all."
)
CONTINUATION_HELP = "Explain this text instead of what the model would generate."
TARGET_FIELDS = ("target", "quantity", "second", "contrast", "continuation")


MOST_BESIDE = 5
"""Methods that are shown beside the chosen one, at most."""


@dataclass(frozen=True)
class Asked:
    """What the controls say, as the engine takes it; ``beside`` are the methods that are shown beside."""

    text: str
    model: str
    method: str
    arguments: dict[str, Any]
    beside: tuple[str, ...] = ()

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> "Asked":
        """From the controls' values by name, options as ``method.option``; a position that cannot be read the engine refuses."""
        method = said["method"]
        options = {
            name.split(".")[1]: value
            for name, value in said.items()
            if name.split(".")[0] == method and "." in name
        }
        arguments = {name: said[name] or None for name in TARGET_FIELDS}
        arguments |= {
            "max_new_tokens": int(said["max_new_tokens"]),
            "position": parse("position", said["position"]),
        }
        beside = tuple(name for name in said.get("beside") or () if name != method)[:MOST_BESIDE]
        return cls(said["text"], said["model"], method, {**arguments, "options": options}, beside)


def target_arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    """What is explained, for pages that have a second text, a target and a position, as keywords of the engine."""
    return {
        "target": values["target"] or None,
        "second": values.get("second") or None,
        "position": parse("position", values["position"]),
    }


def in_browser(function: str, names: Sequence[str], *first: str) -> str:
    """A handler that gives the controls' values, by name, to a function of ``static/address.js``, after ``first``."""
    arguments = "".join(f"{json.dumps(one)}, " for one in first)
    return f"(...values) => AttributionAddress.{function}({arguments}AttributionAddress.named({json.dumps(list(names))}, values))"
