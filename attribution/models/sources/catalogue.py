"""Look-up of models by name: bundled ones and those of ``entries``. Needs neither torch nor the network.

``resolve_name`` turns what a caller wrote (a name, or a family such as ``bert-base-uncased`` with a task such
as ``sentiment``) into one exact checkpoint, and says so.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

from attribution.errors import BadOption, NoTrainedHead, UnknownModel, nearest, quote
from attribution.models import tasks
from attribution.models.sources.entries import CHECKPOINTS, PREFIX, SHIPPED, Entry
from attribution.models.tasks import list_tasks

DISTRIBUTION = "attribution-visualization-tool-models"
"""The distribution of the bundled models; its package has the same name. See ``bundled/pyproject.toml``."""

TOPICS: dict[str, tuple[str, ...]] = {
    "sentiment": ("sentiment-analysis", "sentiment-classification", "sst2", "sst-2", "polarity"),
    "toxicity": ("toxic", "toxicity-detection", "toxicity-classification"),
    "translation": ("translate",),
    "summarisation": ("summarization", "summarise", "summarize", "summary"),
    "instructions": ("instruction-following",),
    "dates": ("date", "date-normalisation", "date-normalization"),
}
"""Further words for ``task``: what a checkpoint is about, with other spellings."""


def task_words() -> dict[str, tuple[str, ...]]:
    """The words that ``task`` may be, each with its other spellings."""
    return {task.word: task.spellings for task in list_tasks().values() if task.word} | TOPICS


@dataclass(frozen=True, slots=True)
class Resolved:
    """The checkpoint for a requested name, and a note where they differ."""

    name: str
    requested: str
    note: str = ""
    revision: str | None = None


def _find_bundled() -> Path:
    """The folder of the bundled models: in the checkout, or in their own distribution.

    It does not exist for the light client, which has no bundled models.
    """
    checkout = Path(__file__).parents[3] / "bundled"
    if (checkout / "pyproject.toml").is_file():
        return checkout
    spec = importlib.util.find_spec(DISTRIBUTION.replace("-", "_"))
    return checkout if spec is None or spec.origin is None else Path(spec.origin).parent


BUNDLED = _find_bundled()


def bundled() -> tuple[Entry, ...]:
    """The models that ship with the project, the default one first: folders with a ``config.json``."""
    names = sorted(path.parent.name for path in BUNDLED.glob("*/config.json"))
    return tuple(SHIPPED[name] for name in SHIPPED if name in names) + tuple(
        _read_entry(name) for name in names if name not in SHIPPED
    )


def _read_entry(name: str) -> Entry:
    """The entry of a folder that was added to the bundled ones, from its config."""
    try:
        config = json.loads((BUNDLED / name / "config.json").read_text(encoding="utf-8"))
        architecture = str((config.get("architectures") or [""])[0])
    except (OSError, ValueError, AttributeError, LookupError):
        architecture = ""
    by_head = (task for task in list_tasks().values() if task.heads and architecture.endswith(task.heads))
    task = tasks.with_marker(lambda file: (BUNDLED / name / file).is_file()) or next(by_head, None)
    return Entry(PREFIX + name, task.name if task else "", (), f"{architecture or 'A model'}, added locally.")


def folder(name: str) -> Path:
    """The folder of a bundled model. Raises ``UnknownModel``."""
    names = [entry.name for entry in bundled()]
    if name not in names:
        hint = nearest(name, names) or f"Bundled models are not installed here: pip install {DISTRIBUTION}"
        raise UnknownModel(f"There is no bundled model {quote(name)}.", hint)
    return BUNDLED / name.removeprefix(PREFIX)


def entries() -> tuple[Entry, ...]:
    """Every model that a server loads by default: bundled ones, then the catalogue."""
    return bundled() + CHECKPOINTS


def find(name: str) -> Entry | None:
    """The entry of exactly that name, ignoring case."""
    return next((entry for entry in entries() if entry.name.lower() == name.lower()), None)


def labels(name: str) -> tuple[str, ...]:
    """The labels of a classifier if they are known without loading it, else none."""
    entry = find(name)
    if entry is None or not tasks.of(entry.task).classifies:
        return ()
    if entry.labels or not entry.name.startswith(PREFIX):
        return entry.labels
    try:
        names = json.loads((folder(entry.name) / "config.json").read_text(encoding="utf-8")).get(
            "id2label", {}
        )
    except (OSError, ValueError, AttributeError):
        return ()
    return tuple(names[i] for i in sorted(names, key=int))


def resolve_name(name: str, task: str | None = None) -> Resolved:
    """The checkpoint for a name and, for a family of models, a task word.

    A name ``owner/name`` that is not in the catalogue is passed through; ``Store.source`` decides whether it
    may be loaded.

    Raises ``UnknownModel``, ``BadOption`` (the task is unknown, or the model is for another one), and
    ``NoTrainedHead`` for a pretrained model whose head for the task would be random.
    """
    if not isinstance(name, str) or not name.strip():
        raise UnknownModel(
            f"{quote(name)} is not the name of a model.",
            f"There are: {', '.join(e.name for e in entries())}.",
        )
    name = name.strip()
    word = _task_word(task)
    if entry := find(name):
        _check_task(entry, word)
        return Resolved(entry.name, name, "", entry.revision)
    if family := [entry for entry in CHECKPOINTS if name.lower() in entry.families]:
        return _from_family(name, word, family)
    if "/" in name and not name.lower().startswith(PREFIX):
        return Resolved(name, name)
    if name.lower().startswith(PREFIX):
        folder(name)
    names = [entry.name for entry in entries()] + [alias for entry in CHECKPOINTS for alias in entry.families]
    raise UnknownModel(f"There is no model {quote(name)} here.", nearest(name, names))


def _task_word(task: str | None) -> str | None:
    if task is None or task == "":
        return None
    if isinstance(task, str):
        wanted = task.strip().lower().replace("_", "-").replace(" ", "-")
        for word, spellings in task_words().items():
            if wanted == word or wanted in spellings:
                return word
    raise BadOption(f"{quote(task)} is not a known task.", nearest(task, task_words()))


def _fits(entry: Entry, word: str) -> bool:
    return word in entry.topics or word == tasks.of(entry.task).word


def _check_task(entry: Entry, word: str | None) -> None:
    """Raise ``BadOption`` for a model of another task.

    An entry without topics was added locally: only its task is known, so any topic is accepted.
    """
    if word is None or _fits(entry, word) or (not entry.topics and word in TOPICS):
        return
    fitting = [e.name for e in entries() if _fits(e, word)]
    purpose = " and ".join(entry.topics) or tasks.of(entry.task).word or "another task"
    raise BadOption(
        f"{entry.name} is a model for {purpose}, not for {word}.",
        f"For {word} there is {', '.join(fitting)}." if fitting else "Leave the task out.",
    )


def _from_family(name: str, word: str | None, family: list[Entry]) -> Resolved:
    if word is None:
        chosen = next((entry for entry in family if entry.bare), None)
        if chosen is None:
            topics = list(dict.fromkeys(topic for entry in family for topic in entry.topics))
            raise NoTrainedHead(
                f"{quote(name)} is a pretrained model: without a task it has no trained head and would "
                "predict at random.",
                f"Add a task, such as {' or '.join(topics)}.",
            )
        return Resolved(chosen.name, name, f"{quote(name)} is {chosen.name}.", chosen.revision)
    chosen = next((entry for entry in family if _fits(entry, word)), None)
    if chosen is None:
        fitting = [entry.name for entry in entries() if _fits(entry, word)]
        raise NoTrainedHead(
            f"The catalogue has no {quote(name)} that was trained for {word}.",
            f"For {word} there is {', '.join(fitting)}." if fitting else "Leave the task out.",
        )
    about = chosen.description.split(":")[0].split(" (")[0]
    note = f"{quote(name)} with the task {quote(word)} is answered by {chosen.name}: {about}."
    return Resolved(chosen.name, name, note, chosen.revision)
