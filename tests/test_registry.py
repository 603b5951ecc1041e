from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest

from attribution import list_methods
from attribution.errors import BadOption, UnknownMethod
from attribution.methods import find
from attribution.registry import Between, check_options, options_of


def example(
    f: object,
    *,
    steps: Annotated[int, Between(2, 512), "Points."] = 32,
    width: Annotated[float, Between(0.1, 10.0), "Width."] = 1.0,
    rule: Annotated[Literal["a", "b"], "Rule."] = "a",
    fast: bool = False,
) -> None: ...


OPTIONS = options_of(example)


def test_options_come_from_the_signature() -> None:
    assert [(o.name, o.kind, o.default) for o in OPTIONS] == [
        ("steps", "int", 32),
        ("width", "float", 1.0),
        ("rule", "choice", "a"),
        ("fast", "bool", False),
    ]
    assert OPTIONS[0].to_dict() == {
        "name": "steps",
        "kind": "int",
        "default": 32,
        "help": "Points.",
        "minimum": 2,
        "maximum": 512,
    }


def test_missing_options_get_their_defaults_and_all_are_sorted() -> None:
    assert check_options("m", OPTIONS, {"steps": 64.0}) == (
        ("fast", False),
        ("rule", "a"),
        ("steps", 64),
        ("width", 1.0),
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 1}, "from 2 to 512"),
        ({"steps": 10**9}, "from 2 to 512"),
        ({"steps": 2.5}, "whole number"),
        ({"steps": True}, "whole number"),
        ({"steps": "many"}, "whole number"),
        ({"steps": None}, "whole number"),
        ({"width": float("nan")}, "a number"),
        ({"width": float("inf")}, "a number"),
        ({"width": 10**400}, "a number"),
        ({"steps": 10**400}, "whole number"),
        ({"rule": "c"}, "a, b"),
        ({"rule": ["a"]}, "a, b"),
        ({"fast": 1}, "true or false"),
        ({"stepz": 3}, "Did you mean 'steps'"),
        ({"x" * 500: 3}, "has no option"),
    ],
)
def test_a_bad_option_is_refused_with_what_is_allowed(given: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        check_options("m", OPTIONS, given)


def test_methods_are_found_by_name_and_alias() -> None:
    assert find("gradient") is list_methods()["saliency"]
    assert find("Integrated Gradients") is list_methods()["integrated_gradients"]
    assert find("IG").name == "integrated_gradients"


@pytest.mark.parametrize("name", ["", "saliencey", None, 3, "../lime", "<script>", "x" * 10_000])
def test_an_unknown_method_names_the_nearest(name: object) -> None:
    with pytest.raises(UnknownMethod) as caught:
        find(name)
    assert len(str(caught.value)) < 600
    if name == "saliencey":
        assert "Did you mean 'saliency'" in str(caught.value)


def test_aliases_are_unique() -> None:
    names = [name for m in list_methods().values() for name in (m.name, *m.aliases)]
    assert len(names) == len(set(names))
