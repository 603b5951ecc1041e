from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import pytest

from attribution import list_methods
from attribution.errors import BadOption, UnknownMethod
from attribution.methods import find
from attribution.registry import Between, check_options, discover, load_plugins, options_of


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
    ("arguments", "message"),
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
def test_a_bad_option_is_refused_with_what_is_allowed(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        check_options("m", OPTIONS, arguments)


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


@dataclass(frozen=True)
class Thing:
    name: str


def fail_to_import() -> Thing:
    raise ImportError("no module named 'nowhere'")


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that replaces the entry points of a group by loaders, by name."""

    def install(group: str, **loaders: Callable[[], object]) -> None:
        points = [
            SimpleNamespace(name=name, load=load, dist=SimpleNamespace(name=f"package-of-{name}"))
            for name, load in loaders.items()
        ]
        monkeypatch.setattr(
            "attribution.registry.entry_points", lambda *, group: points if group == installed_group else []
        )
        installed_group = group

    return install


@pytest.mark.parametrize(
    ("loader", "reason"),
    [
        (fail_to_import, "ImportError: no module named 'nowhere'"),
        (lambda: "a text", "it is a str, not a Thing"),
        (lambda: Thing, "it is a type, not a Thing"),
        (lambda: Thing("taken"), "there is a Thing named 'taken' already"),
        (lambda: Thing("first"), "there is a Thing named 'first' already"),
    ],
)
def test_a_broken_plugin_is_skipped_with_the_package_and_the_reason(
    install: Callable[..., None],
    loader: Callable[[], object],
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    install("things", first=lambda: Thing("first"), bad=loader, last=lambda: Thing("last"))
    with caplog.at_level(logging.WARNING, "attribution.registry"):
        entries = load_plugins("things", Thing, {"taken"})
    assert entries == {"first": Thing("first"), "last": Thing("last")}
    [record] = caplog.records
    assert "'bad' of package-of-bad (things)" in record.getMessage() and reason in record.getMessage()


def test_plugins_come_after_the_projects_own_and_cannot_replace_them(
    install: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    own = list_methods()["lime"]
    method = type(own)
    impostor = SimpleNamespace(load=lambda: own)
    install("attribution.methods", lime=impostor.load)
    with caplog.at_level(logging.WARNING):
        entries = discover("attribution.methods", method)
    assert list(entries) == list(list_methods()) and entries["lime"] is own
    assert "package-of-lime" in caplog.text


def test_the_group_may_have_another_name_than_the_package(install: Callable[..., None]) -> None:
    install("attribution.things", one=lambda: Thing("one"))
    assert list(discover("attribution.commands", Thing, "attribution.things")) == ["one"]
    assert not discover("attribution.commands", Thing)
