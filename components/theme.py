"""How the app looks around the pictures: one accent, quiet surfaces, the fonts that Gradio itself serves."""

from __future__ import annotations

import gradio as gr

from .assets import STATIC, asset

STYLE = asset(STATIC / "page.css")


def theme() -> gr.themes.Base:
    """Gradio's base theme with one accent and readable contrasts."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.blue,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_md,
        spacing_size=gr.themes.sizes.spacing_md,
    ).set(
        # Gradio's own subdued text is too faint: 2.6 : 1 on white, less on its own grey surfaces.
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        # White on its blue has 3.7 : 1.
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
    )
