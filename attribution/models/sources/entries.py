"""The models of the catalogue: those that ship with the project, and checkpoints of the Hugging Face Hub."""

from __future__ import annotations

import os
from dataclasses import dataclass

from attribution.types import TaskName

PREFIX = "bundled/"
"""How the names of bundled models begin."""


def is_folder(name: str) -> bool:
    """Whether a model's name is that of a local folder. A bundled name never is."""
    return not name.startswith(PREFIX) and os.path.isdir(name)  # noqa: PTH112 - Path.is_dir raises for some names


@dataclass(frozen=True, slots=True)
class Entry:
    """One model that can be named.

    Attributes
    ----------
    task : empty if it is known only once the model is loaded.
    topics : the task words that it serves, the main one first.
    families : names of pretrained models that stand for this checkpoint.
    bare : whether they do so without a task as well, because the checkpoint is that model itself.
    labels : the classes, if the checkpoint's own config only names ``LABEL_0``.
    revision : None for the main branch.
    seconds : the second text of each example, for models that read a pair.
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


_SENTIMENT = (
    "This movie is absolutely fantastic!",
    "The plot is thin, but the acting is wonderful.",
    "I expected so much more from such a good director.",
)

SHIPPED: dict[str, Entry] = {
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

# Whether a repository has model.safetensors was read from stored pages of the Hub (file lists of a commit or
# of main, tags of model pages), not from the live Hub:
#   distilbert/...-sst-2-english: file list of da4550f on main; labels NEGATIVE, POSITIVE
#   yoshitomo-matsubara/bert-base-uncased-sst2: tagged "Safetensors" since the conversion (#1) was merged; no
#     file list of that commit was found. Its config names no labels; GLUE's are 0 negative, 1 positive
#   lxyuan/distilbert-base-multilingual-...-student: file list after 2e33845 on main; labels positive,
#     neutral, negative in the config
#   unitary/toxic-bert: model.safetensors on main since 4d6c22e
#   openai-community/gpt2: file list of main at 607a30d
#   google-t5/t5-small, google/flan-t5-small: file lists with the merged conversions (#11, #14)
#   dslim/bert-base-NER, distilbert/distilbert-base-cased-distilled-squad, distilbert/distilroberta-base,
#     sentence-transformers/all-MiniLM-L6-v2: the tag "Safetensors" as other sites repeat it, no file list
# Left out: textattack/bert-base-uncased-SST-2 and cardiffnlp/twitter-(xlm-)roberta-base-sentiment*, which
# have safetensors only in unmerged conversions; its 1.1 GB add little to the multilingual DistilBERT.
CHECKPOINTS: tuple[Entry, ...] = (
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
        "BERT-base fine-tuned on Wikipedia comments: six kinds of toxicity in English, each with its own "
        "probability.",
        families=("bert-base-uncased", "google-bert/bert-base-uncased", "bert-base", "bert"),
        megabytes=438,
        examples=("You are a wonderful person.", "Nobody wants to hear your stupid opinion."),
    ),
    Entry(
        "lxyuan/distilbert-base-multilingual-cased-sentiments-student",
        "classification",
        ("sentiment",),
        "Multilingual DistilBERT distilled for sentiment in twelve languages: positive, neutral or negative?",
        language="Arabic, Chinese, English, French, German, Hindi, Indonesian, Italian, Japanese, Malay, "
        "Portuguese, Spanish",
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
        "T5-small: translates English to German, French or Romanian and summarises; the text begins with "
        "what to do.",
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
        "BERT-base fine-tuned on CoNLL-2003: which words name a person, a place, an organisation, something "
        "else?",
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
