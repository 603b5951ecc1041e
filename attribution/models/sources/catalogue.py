"""The models that can be named: those that ship with the project, and well-known checkpoints of the Hugging Face Hub.

Everything here is data and look-up; nothing is downloaded and torch is not needed. ``resolve_name`` turns what a caller wrote
(a name, or a family such as ``bert-base-uncased`` with a task such as ``sentiment``) into one exact checkpoint, and says so.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

from attribution.errors import BadOption, NoTrainedHead, UnknownModel, nearest, quote
from attribution.models import tasks
from attribution.models.tasks import list_tasks
from attribution.types import TaskName

PREFIX = "bundled/"
"""How the names of bundled models begin."""

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
class Entry:
    """One model that can be named.

    ``task`` is empty where that shows only once the model is loaded. ``topics`` are the task words it answers, the first one being what it is best at. ``families`` are names of pretrained models
    that stand for this checkpoint; with ``bare`` also without a task, as the checkpoint is that model itself. ``labels`` name
    the classes where the checkpoint's own config only says ``LABEL_0``. ``revision`` is None for the main branch.
    """

    name: str
    task: TaskName
    topics: tuple[str, ...]
    description: str
    language: str = "English"
    families: tuple[str, ...] = ()
    bare: bool = False
    labels: tuple[str, ...] = ()
    revision: str | None = None
    megabytes: int = 0
    examples: tuple[str, ...] = ()
    seconds: tuple[str, ...] = ()
    """The second text of each example, for models that read a pair."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """The checkpoint that answers, what was asked for, and in words how the one became the other."""

    name: str
    requested: str
    note: str = ""
    revision: str | None = None


_SENTIMENT = (
    "This movie is absolutely fantastic!",
    "The plot is thin, but the acting is wonderful.",
    "I expected so much more from such a good director.",
)

_SHIPPED = {
    "sst2-minilm": Entry(
        "bundled/sst2-minilm",
        "classification",
        ("sentiment",),
        "MiniLM with six layers, fine-tuned on SST-2: is an English film review negative or positive?",
        examples=_SENTIMENT,
    ),
    "shakespeare-gpt2": Entry(
        "bundled/shakespeare-gpt2",
        "causal",
        ("generation",),
        "A small GPT-2 trained on Shakespeare's plays: continues the text.",
        examples=(
            "ROMEO:\nBut soft, what light through",
            "To be, or not to be, that is the",
            "KING RICHARD:\nMy lord, I",
        ),
    ),
    "dates-t5": Entry(
        "bundled/dates-t5",
        "seq2seq",
        ("dates",),
        "A small T5 that writes English dates of many styles as ISO 8601.",
        examples=("the 3rd of March, 1987", "Friday 13 October 2023", "Dec. 25th 1999"),
    ),
}

# Whether a repository holds model.safetensors was read from stored pages of the Hub (file lists of a commit or of main, model
# pages' tags), not from the live Hub:
#   distilbert/...-sst-2-english                    file list of da4550f on main; labels NEGATIVE, POSITIVE
#   yoshitomo-matsubara/bert-base-uncased-sst2      the page of main carries the tag "Safetensors" since the conversion (#1) was
#                                                   merged; no file list of that commit was found. Its config names no labels,
#                                                   they are GLUE's: 0 negative, 1 positive
#   lxyuan/distilbert-base-multilingual-...-student file list after 2e33845 on main; labels positive, neutral, negative in config
#   unitary/toxic-bert                              model.safetensors on main since 4d6c22e
#   openai-community/gpt2                           file list of main at 607a30d
#   google-t5/t5-small, google/flan-t5-small        file lists with the merged conversions (#11, #14)
#   dslim/bert-base-NER, distilbert/distilbert-base-cased-distilled-squad, distilbert/distilroberta-base and
#   sentence-transformers/all-MiniLM-L6-v2          the Hub's tag "Safetensors" as other sites repeat it; no file list was found
# Left out: textattack/bert-base-uncased-SST-2 and cardiffnlp/twitter-(xlm-)roberta-base-sentiment* have safetensors only in
# unmerged conversions, and the latter's 1.1 GB say little more than the multilingual DistilBERT here.
CATALOGUE: tuple[Entry, ...] = (
    Entry(
        "distilbert/distilbert-base-uncased-finetuned-sst-2-english",
        "classification",
        ("sentiment",),
        "DistilBERT fine-tuned on SST-2: is an English film review negative or positive?",
        families=("distilbert-base-uncased", "distilbert/distilbert-base-uncased", "distilbert"),
        megabytes=268,
        examples=_SENTIMENT,
    ),
    Entry(
        "yoshitomo-matsubara/bert-base-uncased-sst2",
        "classification",
        ("sentiment",),
        "BERT-base fine-tuned on SST-2: is an English film review negative or positive?",
        families=("bert-base-uncased", "google-bert/bert-base-uncased", "bert-base", "bert"),
        labels=("negative", "positive"),
        megabytes=438,
        examples=_SENTIMENT,
    ),
    Entry(
        "unitary/toxic-bert",
        "classification",
        ("toxicity",),
        "BERT-base fine-tuned on Wikipedia comments: six kinds of toxicity in English, each with its own probability.",
        families=("bert-base-uncased", "google-bert/bert-base-uncased", "bert-base", "bert"),
        megabytes=438,
        examples=("You are a wonderful person.", "Nobody wants to hear your stupid opinion."),
    ),
    Entry(
        "lxyuan/distilbert-base-multilingual-cased-sentiments-student",
        "classification",
        ("sentiment",),
        "Multilingual DistilBERT distilled for sentiment in twelve languages: positive, neutral or negative?",
        language="Arabic, Chinese, English, French, German, Hindi, Indonesian, Italian, Japanese, Malay, Portuguese, Spanish",
        families=(
            "distilbert-base-multilingual-cased",
            "distilbert/distilbert-base-multilingual-cased",
            "bert-base-multilingual-cased",
            "google-bert/bert-base-multilingual-cased",
            "multilingual",
        ),
        megabytes=541,
        examples=(
            "Ce film est une pure merveille.",
            "Das Essen war leider kalt.",
            "这部电影真好看。",
            "الفيلم ممل جدا",
        ),
    ),
    Entry(
        "openai-community/gpt2",
        "causal",
        ("generation",),
        "GPT-2, the smallest of its four sizes (124 million parameters): continues English text.",
        families=("gpt2", "gpt-2", "gpt"),
        bare=True,
        megabytes=548,
        examples=("The capital of France is", "Once upon a time, there was a"),
    ),
    Entry(
        "google-t5/t5-small",
        "seq2seq",
        ("translation", "summarisation"),
        "T5-small: translates English to German, French or Romanian and summarises; the text begins with what to do.",
        language="English, French, German, Romanian",
        families=("t5-small", "t5"),
        bare=True,
        megabytes=242,
        examples=(
            "translate English to German: The house is wonderful.",
            "translate English to French: Good morning.",
        ),
    ),
    Entry(
        "google/flan-t5-small",
        "seq2seq",
        ("instructions", "translation", "summarisation"),
        "FLAN-T5-small: T5 taught to follow instructions.",
        families=("flan-t5-small", "flan-t5"),
        bare=True,
        megabytes=308,
        examples=("Is this review positive or negative? The food was cold.", "What is the capital of Italy?"),
    ),
    Entry(
        "dslim/bert-base-NER",
        "token_classification",
        ("entities",),
        "BERT-base fine-tuned on CoNLL-2003: which words name a person, a place, an organisation, something else?",
        families=("bert-base-cased", "google-bert/bert-base-cased"),
        megabytes=433,
        examples=("Ada Lovelace was born in London.", "The Bank of Japan met in Kyoto on Monday."),
    ),
    Entry(
        "distilbert/distilbert-base-cased-distilled-squad",
        "question_answering",
        ("answers",),
        "DistilBERT fine-tuned on SQuAD: finds the answer to a question in a text.",
        families=("distilbert-base-cased", "distilbert/distilbert-base-cased"),
        megabytes=261,
        examples=("Who wrote the notes?", "Where is the museum?"),
        seconds=(
            "In 1843 Ada Lovelace wrote notes on a machine that was never finished.",
            "The museum stands beside the river, in the old part of Cologne.",
        ),
    ),
    Entry(
        "distilbert/distilroberta-base",
        "masked",
        ("fill-mask",),
        "DistilRoBERTa: which word belongs in the place of <mask>?",
        families=("distilroberta-base", "distilroberta"),
        bare=True,
        megabytes=331,
        examples=("The capital of France is<mask>.", "The nurse said that<mask> was tired."),
    ),
    Entry(
        "sentence-transformers/all-MiniLM-L6-v2",
        "similarity",
        ("similarity",),
        "A sentence encoder: how close are two English texts in meaning?",
        families=("all-minilm-l6-v2",),
        bare=True,
        megabytes=91,
        examples=("A man is playing a guitar.",),
        seconds=("Somebody makes music.",),
    ),
)


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
    return tuple(_SHIPPED[name] for name in _SHIPPED if name in names) + tuple(
        _unlisted(name) for name in names if name not in _SHIPPED
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
    return bundled() + CATALOGUE


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


def available_offline() -> tuple[str, ...]:
    """Names that can be had with no network: bundled ones, and those of the catalogue in the local cache of the Hub."""
    from attribution.models.sources import (
        hub,  # late: it names what is available when the Hub is out of reach, so it needs this module
    )

    return tuple(e.name for e in bundled()) + tuple(
        e.name for e in CATALOGUE if hub.cached(e.name, e.revision)
    )


def resolve_name(name: str, task: str | None = None) -> Resolved:
    """The checkpoint for a name and, for a family of models, a task word.

    A name ``owner/name`` that is not in the catalogue is passed through; whether it may be loaded is decided elsewhere.

    Raises ``UnknownModel``, ``BadOption`` (the task is unknown, or the model is for another one), and ``NoTrainedHead`` for a
    pretrained model whose head for the task would be random.
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
    if family := [entry for entry in CATALOGUE if name.lower() in entry.families]:
        return _from_family(name, word, family)
    if "/" in name and not name.lower().startswith(PREFIX):
        return Resolved(name, name)
    if name.lower().startswith(PREFIX):
        folder(name)
    known = [e.name for e in entries()] + [alias for e in CATALOGUE for alias in e.families]
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
