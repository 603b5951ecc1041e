"""The guided tour: five lessons for a course, each a text that can be changed and a few pictures of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class View:
    """One picture of a lesson: a method with its options, under a caption."""

    caption: str
    method: str
    options: dict[str, Any] = field(default_factory=dict)
    quantity: str = "logit"


@dataclass(frozen=True)
class Lesson:
    """A lesson; ``body`` is Markdown.

    ``try_it`` are further texts; ``removes`` adds curves of the probability as each picture's strongest
    words are removed.
    """

    title: str
    text: str
    body: str
    try_it: tuple[str, ...]
    views: tuple[View, ...]
    sources: str
    removes: bool = False


LESSONS: tuple[Lesson, ...] = (
    Lesson(
        "What a gradient says",
        "The plot is thin, but the acting is wonderful.",
        "A **gradient** says how strongly the prediction would react if a word's embedding moved a tiny "
        "bit. *Saliency* is its size: it has no sign, so it cannot say whether a word speaks for or "
        "against. *Input × gradient* asks for the share of a word as if the model were linear. *Occlusion* "
        "hides the word and looks. Three questions, and three answers.\n\nNow read the strongest scores "
        "below the first two titles, and press the second example. Where the model is nearly certain, its "
        "probability hardly reacts to anything any more: the gradient of the probability fades for all "
        "words alike, although the words decided it. That of the logit does not.",
        (
            "The plot is thin, but the acting is absolutely wonderful, moving and brilliant.",
            "The plot is thin, and the acting is fine.",
        ),
        (
            View("Saliency of the logit", "saliency"),
            View("Saliency of the probability", "saliency", quantity="probability"),
            View("Input × gradient", "input_x_gradient"),
            View("Occlusion: each word hidden in turn", "occlusion"),
        ),
        "Simonyan et al. 2014, *Deep Inside Convolutional Networks*; Li et al. 2016, *Visualizing and "
        "Understanding Neural Models in NLP*.",
    ),
    Lesson(
        "Why a baseline matters",
        "I did not expect to like this film, but I did.",
        "**Integrated gradients** follow the model from a text that says nothing, the *baseline*, to this "
        "one, and share out the difference of the two predictions among the words. The scores add up to "
        "that difference. So they answer *compared with what?*, and every baseline is another question: "
        "padding, the mask token, the average of all embeddings, zeros.\n\nWhich words keep their colour "
        "in all four pictures? Those you may talk about without naming the baseline.",
        (
            "This movie is absolutely fantastic!",
            "It isn't good.",
        ),
        (
            View("Baseline: padding", "integrated_gradients", {"baseline": "pad"}),
            View("Baseline: the mask token", "integrated_gradients", {"baseline": "mask"}),
            View("Baseline: the mean embedding", "integrated_gradients", {"baseline": "mean"}),
            View("Baseline: zeros", "integrated_gradients", {"baseline": "zero"}),
        ),
        "Sundararajan et al. 2017, *Axiomatic Attribution for Deep Networks*; Sturmfels et al. 2020, "
        "*Visualizing the Impact of Feature Attribution Baselines* (Distill).",
    ),
    Lesson(
        "Attention is not explanation",
        "Despite a few slow scenes, the film is a triumph.",
        "**Attention** says where a layer looks, not what it does with what it sees. The weights of the "
        "last layer often go to commas and special tokens (Clark et al. 2019), and they are the same "
        "whichever label is explained. *Rollout* multiplies the layers; *attention × gradient* counts only "
        "attention that changes the explained prediction.\n\nCompare all three with the scores of "
        "integrated gradients. Whether attention explains anything has been argued both ways: read both "
        "papers below.",
        (
            "Despite a few brilliant scenes, the film is a bore.",
            "The director, the cast, the score and the editing: everything works, and yet it left me cold.",
        ),
        (
            View("Attention of the last layer", "attention"),
            View("Attention rollout", "attention_rollout"),
            View("Attention × gradient", "attention_x_gradient"),
            View("Integrated gradients", "integrated_gradients"),
        ),
        "Clark et al. 2019, *What Does BERT Look At?*; Jain & Wallace 2019, *Attention is not Explanation*; "
        "Wiegreffe & Pinter 2019, *Attention is not not Explanation*.",
    ),
    Lesson(
        "LIME's luck",
        "The jokes are old, the story is flat, and still I laughed a lot.",
        "**LIME** hides random words many times and fits a straight line to what happens. Random: with few "
        "samples another seed gives another picture. All pictures below explain the same prediction; only "
        "the luck of the draw differs, and the number of samples. Words with a dotted line are not "
        "distinguishable from 0.\n\nA method that samples should say how sure it is. Here it does: hover "
        "over a word for its 95 % interval.",
        (
            "What a waste.",
            "The jokes are old, the story is flat, the ending comes much too late, and still I laughed a "
            "lot and left happy.",
        ),
        (
            View("40 samples, seed 1", "lime", {"samples": 40, "seed": 1}),
            View("40 samples, seed 2", "lime", {"samples": 40, "seed": 2}),
            View("40 samples, seed 3", "lime", {"samples": 40, "seed": 3}),
            View("1,000 samples", "lime", {"samples": 1000, "seed": 1}),
        ),
        "Ribeiro et al. 2016, *“Why Should I Trust You?”*; Alvarez-Melis & Jaakkola 2018, *On the "
        "Robustness of Interpretability Methods*.",
    ),
    Lesson(
        "Faithful to the model?",
        "A slow start, but the wonderful ending makes up for everything.",
        "A picture can look right and still not show what the model used. The test: remove the words that "
        "a method ranks strongest, one by one, and watch the prediction. The faster it falls, the better "
        "the method found what the model relied on. *Random* scores are the control that every method has "
        "to beat.\n\nOne text proves nothing, and a text with holes is one that the model never learned "
        "from. Studies take many texts and several ways of removing words.",
        (
            "I hated the book.",
            "Clever, funny, warm and beautifully acted, this is the best film of the year.",
        ),
        (
            View("Integrated gradients", "integrated_gradients"),
            View("Occlusion", "occlusion"),
            View("Attention of the last layer", "attention"),
            View("Random", "random"),
        ),
        "DeYoung et al. 2020, *ERASER: A Benchmark to Evaluate Rationalized NLP Models* "
        "(comprehensiveness); Samek et al. 2017, *Evaluating the Visualization of What a Deep Neural "
        "Network Has Learned*.",
        removes=True,
    ),
)
