"""The picture on the page: an attribution over its text."""

from typing import Any

from attribution.export.drawing.browser import picture_data
from attribution.types import Attribution

from .picture import Picture


class Heatmap(Picture):
    """An attribution over its text.

    The event ``select`` carries ``event.output``, the row that a person chose; ``strike`` the words.

    The value is an ``Attribution``, its ``picture_data`` with or without the integers ``sequence`` and
    ``step`` beside it, or None. ``source`` is the CSS selector of the text box that the picture follows,
    ``second_source`` that of the other text of a pair: while their texts differ, the picture says
    ``data-current="false"``. ``strikes`` lets a person take words out.
    """

    mounts = "AttributionPicture"
    assets = ("picture",)
    emits = ("select", "strike")

    def __init__(
        self,
        value: Attribution | dict[str, Any] | None = None,
        *,
        source: str | None = None,
        second_source: str | None = None,
        strikes: bool = False,
        **kwargs: Any,
    ) -> None:
        self.source, self.second_source, self.strikes = source, second_source, strikes
        super().__init__(value, source=source, second_source=second_source, strikes=strikes, **kwargs)  # type: ignore[arg-type]

    def postprocess(self, value: Attribution | dict[str, Any] | None) -> dict[str, Any] | None:
        return picture_data(value) if isinstance(value, Attribution) else value

    def api_info(self) -> dict[str, Any]:
        return {
            "type": "object",
            "title": "Attribution",
            "description": "Attribution.to_dict(), numbered by `sequence` and `step`; a newer one is drawn",
            "properties": {
                "schema": {"type": "string"},
                "sequence": {"type": "integer"},
                "step": {"type": "integer"},
                "text": {"type": "string"},
            },
            "additionalProperties": True,
        }
