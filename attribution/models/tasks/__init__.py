"""What each task reads, writes and is called: one file a task, found by itself.

A task's file holds one ``Task`` and imports neither torch nor transformers at the top, so that the light
client, the catalogue, the sentences and the pages can read it. What computes is its reader, named by
``Task.reader`` and imported with the first model. Packages outside this one add tasks through the entry
point group ``attribution.tasks``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal, NamedTuple

from attribution.errors import BadOption, nearest, quote
from attribution.registry import discover
from attribution.request import Target

ModelKind = Literal["encoder", "decoder", "encoder-decoder"]
Trait = Literal[
    "writes", "classifies", "has_labels", "has_positions", "has_vocabulary", "fills_masks", "pools"
]
"""A property of a task that a method may require."""

BEST = "{best}"
"""What a prediction says in one line, by default: its most probable label."""


class Probe(NamedTuple):
    """A request that a model of some task answers: what its speed is measured with."""

    text: str
    second: str | None = None
    target: Target = Target()


def filler_words(count: int) -> str:
    """A text of so many English words that every vocabulary has."""
    return " ".join(["the", "good"] * (count // 2))


def filler_pair(count: int) -> tuple[str, str]:
    """Two texts of so many such words together."""
    return filler_words(count // 2), " ".join(["a", "film"] * (count // 4))


def probe_first_label(words: int, _several: bool, _model: Any) -> Probe:
    """A text, and the first label as the target."""
    return Probe(filler_words(words), target=Target(label=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task: everything that the project knows about it by name.

    Checkpoints
    -----------
    reader : the class that reads its numbers off a model, ``"package.module:Class"``, a subclass of
        ``attribution.models.reader.Reader``.
    heads : how the names of the transformers classes end that are loaded for it.
    serves : ``(class name, config) -> bool``, whether a class is made for it; by default, whether its name
        ends with a head.
    marker : a file that makes a folder a checkpoint for this task, whatever its class.
    kind : the usual kind of its models.

    What it reads
    -------------
    second : whether it reads a second text.
    second_hint : what to tell a person who left a required second text out.
    parts : what the two texts of a pair are called.
    fills_masks : whether the text has a mask token, in whose place the model puts another token.

    What it answers
    ---------------
    writes : whether it generates text.
    classifies : whether the answer is one of the model's labels, about the whole text.
    has_labels : whether a model's configuration names its labels.
    has_positions : whether outputs belong to tokens, so that a target may name positions.
    has_vocabulary : whether the outputs are tokens of the vocabulary.
    alternatives : whether the labels of a prediction exclude each other, or at least compete.
    pools : whether a text's embedding is pooled from a bare encoder's states.
    measure : what is explained, in words, where that is always the same number; then there is no quantity to
        choose.

    Words for a person
    ------------------
    title : its name.
    word : what a caller may write as ``task`` for any checkpoint of this kind; ``spellings`` are others.
    heading, heading_several : what stands above a prediction, and where several positions are explained.
        ``{word}`` is the word at the position.
    summary : a prediction in one line; ``{best}`` is the most probable label, ``{text}`` the text, ``{outputs}``
        what is explained, ``{number}`` the model's number.
    every : several outputs together; ``{count}`` is how many.
    table_heading : what stands above the labels of a prediction where several outputs are explained.
    read_off : which rows of attention the outputs are read from, where that does not depend on the model.

    For measurements and documents
    ------------------------------
    probe : ``(words, several, model) -> Probe``, a request of about so many words with one output, or with
        ``several``.
    example : arguments of ``attribute`` for a bundled model, for the documents; empty where none is bundled.
    """

    name: str
    title: str
    reader: str
    heads: tuple[str, ...] = ()
    serves: Callable[[str, Any], bool] | None = None
    marker: str = ""
    kind: ModelKind = "encoder"
    second: Literal["none", "optional", "required"] = "none"
    second_hint: str = ""
    parts: tuple[str, str] = ("First text", "Second text")
    fills_masks: bool = False
    writes: bool = False
    classifies: bool = False
    has_labels: bool = False
    has_positions: bool = False
    has_vocabulary: bool = False
    alternatives: bool = False
    pools: bool = False
    measure: str = ""
    word: str = ""
    spellings: tuple[str, ...] = ()
    heading: str = "The model says"
    heading_several: str = ""
    summary: str = BEST
    every: str = "each of the {count} outputs"
    table_heading: str = ""
    read_off: str = ""
    probe: Callable[[int, bool, Any], Probe] = probe_first_label
    example: Mapping[str, Any] = field(default_factory=dict)

    @property
    def encoder_decoder(self) -> bool:
        """Whether what it writes is a text of its own, and does not continue the text that it reads."""
        return self.kind == "encoder-decoder"

    def is_made_for(self, class_name: str, config: Any) -> bool:
        """Whether a transformers class of that name, with that configuration, is made for this task."""
        if self.serves is not None:
            return self.serves(class_name, config)
        return class_name.endswith(self.heads) if self.heads else False

    def load_reader(self) -> Any:
        """The class that computes, imported. Needs torch."""
        module, _, name = self.reader.partition(":")
        return getattr(importlib.import_module(module), name)


@cache
def list_tasks() -> Mapping[str, Task]:
    """Every task by name: first those that only read a text, then those that write one, alphabetically."""
    entries = discover(__name__, Task, "attribution.tasks")
    return dict(sorted(entries.items(), key=lambda item: item[1].writes))


def find(name: object) -> Task:
    """The task of that name. Raises ``BadOption`` with the nearest one."""
    if isinstance(name, str) and name in list_tasks():
        return list_tasks()[name]
    raise BadOption(f"{quote(name)} is not a task.", nearest(name, list_tasks()))


def of(name: str) -> Task:
    """The task of a result, by its name; one that is not installed here (a plug-in) gets neutral words."""
    return list_tasks().get(name) or Task(
        name=name, title=name.replace("_", " "), reader="", alternatives=True
    )


def with_marker(has_file: Callable[[str], bool]) -> Task | None:
    """The task whose marker a folder has."""
    return next((task for task in list_tasks().values() if task.marker and has_file(task.marker)), None)


def heads() -> tuple[str, ...]:
    """How the names of all classes end that can be loaded."""
    return tuple(head for task in list_tasks().values() for head in task.heads)
