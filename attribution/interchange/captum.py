"""captum: ``VisualizationDataRecord`` and the results of ``LLMAttribution``."""

from __future__ import annotations

from typing import Any

from attribution.interchange import Parts, Tool, array


def read(result: Any) -> Parts:
    """Read a record of captum's text visualisation, or the result of an attribution of generated text."""
    return _read_record(result) if hasattr(result, "word_attributions") else _read_generation(result)


def _read_record(record: Any) -> Parts:
    """A record has the probability of the predicted class alone, and not the explained number itself."""
    predicted, explained = str(record.pred_class), str(record.attr_class)
    chance = float(record.pred_prob)
    notes = []
    if record.convergence_score is not None and record.convergence_score == record.convergence_score:
        delta = float(record.convergence_score)
        notes.append(
            f"captum's convergence delta, the sum of the scores minus what it should be, is {delta:.3g}."
        )
    return Parts(
        tokens=list(record.raw_input_ids),
        scores=array(record.word_attributions),
        targets=(explained,),
        chances=(chance if predicted == explained else None,),
        prediction={predicted: chance},
        notes=notes,
    )


def _read_generation(result: Any) -> Parts:
    """One row for each generated token, or one for the whole text where captum was asked for no more."""
    by_token = result.token_attr is not None
    text = "".join(result.output_tokens)
    probabilities = result.output_probs if by_token else None
    return Parts(
        tokens=list(result.input_tokens),
        scores=array(result.token_attr if by_token else result.seq_attr),
        targets=tuple(result.output_tokens) if by_token else (text,),
        chances=() if probabilities is None else tuple(array(probabilities).tolist()),
        written=0,
    )


TOOL = Tool("captum", "captum", ("VisualizationDataRecord", "LLMAttributionResult"), read)
