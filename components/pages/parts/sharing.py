"""Files, links, embed code and code for what the live page shows, and recording it with a tracker."""

from typing import Any

import gradio as gr

from attribution import export
from attribution.engine import Engine
from attribution.errors import AttributionError
from attribution.export.writing.code import as_code
from attribution.request import Request

from ...controls.fields import Form
from ...controls.recording import recorder_of
from ...controls.values import PageRequest, in_browser
from ...languages import say
from ...live.answers import QUIET

LANGUAGES = [("Python", "library"), ("Client", "client"), ("REST", "rest"), ("curl", "curl")]

_COPY = "(text) => { navigator.clipboard?.writeText(text).catch(() => {}); }"
_WITH_ADDRESS = "(_, ...rest) => [AttributionAddress.base(), ...rest]"


class Sharing:
    """The accordion. Build it where it should appear, and ``wire`` it once the page has its form."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._recorder = engine, recorder_of(engine.settings)
        with gr.Accordion(say("Export and share"), open=False, elem_id="share"):
            with gr.Row():
                self.files = {
                    kind: gr.Button(kind.upper(), size="sm", min_width=60) for kind in export.list_formats()
                }
            with gr.Row():
                self.link, self.embed, self.code = (
                    gr.Button(say(label), size="sm", min_width=90, elem_id=name)
                    for label, name in (
                        ("Copy link", "copy-link"),
                        ("Copy embed code", "copy-embed"),
                        ("Copy as code", "copy-code"),
                    )
                )
            recorder = self._recorder
            self.record = gr.Button(say("Record"), size="sm", elem_id="record", visible=recorder is not None)
            gr.Markdown(
                f"*{recorder.about}*" if recorder else "", elem_id="where", visible=recorder is not None
            )
            self.language = gr.Radio(
                LANGUAGES, value="library", show_label=False, container=False, elem_id="code-language"
            )
            self.output = gr.Textbox(
                show_label=False,
                placeholder=say("The link, the code, or the saved file"),
                buttons=["copy"],
                interactive=False,
                lines=1,
                max_lines=12,
                elem_id="shared",
            )
        self._server = gr.Textbox(visible="hidden", value="")

    def wire(self, form: Form) -> None:
        """Connect the buttons to the controls of ``form``."""
        for kind, button in self.files.items():
            # A picture has the visitor's own fonts where the browser draws it.
            self._wire_in_browser(
                button, form, *(("downloadPicture",) if kind == "png" else ("download", kind))
            )
        self._wire_in_browser(self.link, form, "copyLink")
        self._wire_in_browser(self.embed, form, "copyEmbed")

        def record(*values: Any) -> str:
            return self._record(PageRequest.read(form.read(values)).request)

        def write_code(server: str, language: str, *values: Any) -> str:
            return self._code(PageRequest.read(form.read(values)).request, server, language)

        self.record.click(
            record,
            form.inputs,
            [self.output],
            concurrency_limit=self._engine.settings.running_recordings,
            api_visibility="private",
        )
        inputs = [self._server, self.language, *form.inputs]
        for event in (self.code.click, self.language.input):
            event(write_code, inputs, [self.output], **QUIET, js=_WITH_ADDRESS).then(
                None, [self.output], None, js=_COPY, api_visibility="private"
            )

    def _wire_in_browser(self, button: gr.Button, form: Form, function: str, *arguments: str) -> None:
        script = in_browser(function, list(form.controls), *arguments)
        button.click(None, form.inputs, [self.output], js=script, api_visibility="private")

    def _code(self, request: Request, server: str, language: str) -> str:
        """The request as code, or why there is none."""
        try:
            return as_code(self._engine.request(request), server)[language]
        except AttributionError as error:
            return f"{error.message} {error.hint}"

    def _record(self, request: Request) -> str:
        """Record the attribution with the server's tracker. Returns a message for the visitor."""
        if self._recorder is None:
            return ""
        try:
            return self._recorder.record(self._engine.attribute(request))
        except AttributionError as error:
            return f"{error.message} {error.hint}"
