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
"""What a caller may write as ``task`` beside the words of ``models.tasks``: what a checkpoint is about, and other spellings of it."""


def task_words() -> dict[str, tuple[str, ...]]:
    """What a caller may write as ``task``: a word, and other spellings of it."""
    return {task.word: task.spellings for task in list_tasks().values() if task.word} | TOPICS


@dataclass(frozen=True, slots=True)
class Resolved:
    """The checkpoint that answers, what was asked for, and in words how the one became the other."""

    name: str
    requested: str
    note: str = ""
    revision: str | None = None


def _find_bundled() -> Path:
    """The folder of the bundled models: that of the checkout, or that of their own distribution.

    In the light client, which has no bundled models, it does not exist.
    """
    checkout = Path(__file__).parents[3] / "bundled"
    if (checkout / "pyproject.toml").is_file():
        return checkout
    spec = importlib.util.find_spec(DISTRIBUTION.replace("-", "_"))
    return checkout if spec is None or spec.origin is None else Path(spec.origin).parent


BUNDLED = _find_bundled()


def bundled() -> tuple[Entry, ...]:
    """The models that ship with the project, the default first: folders with a ``config.json``."""
    names = sorted(path.parent.name for path in BUNDLED.glob("*/config.json"))
    return tuple(SHIPPED[name] for name in SHIPPED if name in names) + tuple(
        _unlisted(name) for name in names if name not in SHIPPED
    )


def _unlisted(name: str) -> Entry:
    """A folder that somebody added beside ours: what it is stands in its config."""
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
    """Every model that a server takes by default: bundled ones, then the catalogue."""
    return bundled() + CHECKPOINTS


def find(name: str) -> Entry | None:
    """The entry of exactly that name, upper and lower case alike."""
    return next((entry for entry in entries() if entry.name.lower() == name.lower()), None)


def labels(name: str) -> tuple[str, ...]:
    """The labels of a classifier of that name, where they are known without loading it."""
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

    A name ``owner/name`` that is not in the catalogue is passed through; whether it may be loaded is decided
    elsewhere.

    Raises ``UnknownModel``, ``BadOption`` (the task is unknown, or the model is for another one), and
    ``NoTrainedHead`` for a pretrained model whose head for the task would be random.
    """
    if not isinstance(name, str) or not name.strip():
        raise UnknownModel(
            f"{quote(name)} is not a model's name.", f"There are: {', '.join(e.name for e in entries())}."
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
    known = [e.name for e in entries()] + [alias for e in CHECKPOINTS for alias in e.families]
    raise UnknownModel(f"There is no model {quote(name)} here.", nearest(name, known))


def _task_word(task: str | None) -> str | None:
    if task is None or task == "":
        return None
    if isinstance(task, str):
        wanted = task.strip().lower().replace("_", "-").replace(" ", "-")
        for word, spellings in task_words().items():
            if wanted == word or wanted in spellings:
                return word
    raise BadOption(f"{quote(task)} is not a known task.", nearest(task, task_words()))


def _answers(entry: Entry, word: str) -> bool:
    return word in entry.topics or word == tasks.of(entry.task).word


def _check_task(entry: Entry, word: str | None) -> None:
    """An entry without topics was added locally: only its kind is known, so a topic word is believed."""
    if word is None or _answers(entry, word) or (not entry.topics and word in TOPICS):
        return
    fitting = [e.name for e in entries() if _answers(e, word)]
    raise BadOption(
        f"{entry.name} is a model for {' and '.join(entry.topics) or tasks.of(entry.task).word or 'another task'}, not for {word}.",
        f"For {word} there is {', '.join(fitting)}." if fitting else "Leave the task out.",
    )


def _from_family(name: str, word: str | None, family: list[Entry]) -> Resolved:
    if word is None:
        chosen = next((entry for entry in family if entry.bare), None)
        if chosen is None:
            tasks = list(dict.fromkeys(topic for entry in family for topic in entry.topics))
            raise NoTrainedHead(
                f"{quote(name)} is a pretrained model: without a task it has no trained head, so it would predict at random.",
                f"Add a task, such as {' or '.join(tasks)}.",
            )
        return Resolved(chosen.name, name, f"{quote(name)} is {chosen.name}.", chosen.revision)
    chosen = next((entry for entry in family if _answers(entry, word)), None)
    if chosen is None:
        fitting = [entry.name for entry in entries() if _answers(entry, word)]
        raise NoTrainedHead(
            f"The catalogue has no {quote(name)} that was trained for {word}.",
            f"For {word} there is {', '.join(fitting)}." if fitting else "Leave the task out.",
        )
    about = chosen.description.split(":")[0].split(" (")[0]
    note = f"{quote(name)} with the task {quote(word)} is answered by {chosen.name}: {about}."
    return Resolved(chosen.name, name, note, chosen.revision)
