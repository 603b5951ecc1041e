"""The tasks: inputs, outputs and names of each, in one automatically discovered file per task.

A task's file holds one ``Task`` and imports neither torch nor transformers at the top, so that the light
client, the catalogue, the sentences and the pages can read it. Its reader, named by ``Task.reader``, is
imported with the first model. Other packages add tasks through the entry point group ``attribution.tasks``.
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
"""The default summary of a prediction: its most probable label."""


class Probe(NamedTuple):
    """A sample request for a task, for measuring the speed of a model."""

    text: str
    second: str | None = None
    target: Target = Target()


def filler_words(count: int) -> str:
    """A text of ``count`` common English words, which every vocabulary has."""
    return " ".join(["the", "good"] * (count // 2))


def filler_pair(count: int) -> tuple[str, str]:
    """Two texts of ``count`` such words in total."""
    return filler_words(count // 2), " ".join(["a", "film"] * (count // 4))


def probe_first_label(words: int, _several: bool, _model: Any) -> Probe:
    """A text with the first label as its target."""
    return Probe(filler_words(words), target=Target(label=0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task: all task-specific knowledge of the project.

    Checkpoints
    -----------
    reader : the class that reads the explained numbers from a model, ``"package.module:Class"``, a subclass
        of
        ``attribution.models.reader.Reader``.
    heads : suffixes of the names of the transformers classes that are loaded for it.
    serves : ``(class name, config) -> bool``, whether a class is for this task; by default, whether its name
        ends with a head.
    marker : a file that marks a folder as a checkpoint for this task, whatever its class.
    kind : the usual kind of its models.

    What it reads
    -------------
    second : whether it reads a second text.
    second_hint : the hint of the error for a missing second text.
    parts : names of the two texts of a pair.
    fills_masks : whether the model predicts the token in place of a mask.

    What it answers
    ---------------
    writes : whether it generates text.
    classifies : whether the output is one of the model's labels for the whole text.
    has_labels : whether a model's configuration names its labels.
    has_positions : whether outputs belong to tokens, so that a target may name positions.
    has_vocabulary : whether the outputs are tokens of the vocabulary.
    alternatives : whether the labels of a prediction are mutually exclusive, or at least compete.
    pools : whether a text's embedding is pooled from a bare encoder's states.
    measure : the explained number in words, for a task without a choice of quantity; its output is then
        called by the task's ``word``, or by what else a model measures.

    Interface texts
    ---------------
    title : its name.
    word : the name that callers may pass as ``task`` for any such checkpoint; ``spellings`` are synonyms.
    heading, heading_several : the heading of a prediction, for one and for several explained positions.
        ``{word}`` is the word at the position.
    summary : a prediction in one line; ``{best}`` is the most probable label, ``{text}`` the text,
        ``{outputs}``
        what is explained, ``{number}`` the model's number.
    every : a phrase for several outputs; ``{count}`` is their number.
    table_heading : the heading of the table of labels where several outputs are explained.
    read_off : which attention rows the outputs are read from, where that does not depend on the model.

    For measurements and documents
    ------------------------------
    probe : ``(words, several, model) -> Probe``, a request of about ``words`` words with one or ``several``
        outputs.
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
        """Whether its output is a text of its own instead of a continuation of the input."""
        return self.kind == "encoder-decoder"

    def serves_class(self, class_name: str, config: Any) -> bool:
        """Whether a transformers class of that name and configuration is for this task."""
        if self.serves is not None:
            return self.serves(class_name, config)
        return class_name.endswith(self.heads) if self.heads else False

    def load_reader(self) -> Any:
        """Import the reader class. Needs torch."""
        module, _, name = self.reader.partition(":")
        return getattr(importlib.import_module(module), name)


@cache
def list_tasks() -> Mapping[str, Task]:
    """Every task by name: first those that only read text, then those that generate it, alphabetically."""
    entries = discover(__name__, Task, "attribution.tasks")
    return dict(sorted(entries.items(), key=lambda item: item[1].writes))


def find(name: object) -> Task:
    """The task of that name. Raises ``BadOption`` with the nearest one."""
    if isinstance(name, str) and name in list_tasks():
        return list_tasks()[name]
    raise BadOption(f"{quote(name)} is not a task.", nearest(name, list_tasks()))


def of(name: str) -> Task:
    """The task of a result by name; a task that is not installed here (a plug-in) gets neutral words."""
    # Another tool may not have said what the model is for, nor in which quantity.
    measure = "" if name else "the explained number"
    return list_tasks().get(name) or Task(
        name=name, title=name.replace("_", " "), reader="", alternatives=True, measure=measure
    )


def with_marker(has_file: Callable[[str], bool]) -> Task | None:
    """The task whose marker a folder has."""
    return next((task for task in list_tasks().values() if task.marker and has_file(task.marker)), None)


def pooling() -> Task:
    """The first task whose models pool the states of a text into a vector."""
    return next(task for task in list_tasks().values() if task.pools)


def heads() -> tuple[str, ...]:
    """The class-name suffixes of all loadable models."""
    return tuple(head for task in list_tasks().values() for head in task.heads)
