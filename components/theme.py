"""How the app looks beside the pictures: one accent, quiet surfaces, the fonts that Gradio itself serves."""

from __future__ import annotations

import gradio as gr

STYLE = """
.gradio-container { max-width: 1240px !important; margin: 0 auto !important; }
#head header { padding: 10px 2px 2px; }
#head h1 { margin: 0; font-size: 24px; font-weight: 650; letter-spacing: -.01em; color: var(--body-text-color); }
#head p { margin: 2px 0 0; font-size: 15px; color: var(--body-text-color-subdued); }
#explain { gap: 28px; align-items: flex-start; }
#text textarea, #second textarea { font-size: 18px; line-height: 1.5; }
#picture { min-height: 150px; padding: 4px 2px; }
#words { padding: 4px 2px; }
#cost:not(:has(p)) { display: none; }
@media (max-width: 640px) { #head h1 { font-size: 20px; } #explain { gap: 14px; } }
"""


def theme() -> gr.themes.Base:
    return gr.themes.Base(
        primary_hue=gr.themes.colors.blue,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_md,
        spacing_size=gr.themes.sizes.spacing_md,
    ).set(
        # Gradio's own subdued text is too faint on white: 2.6 : 1.
        body_text_color_subdued="*neutral_500",
        body_text_color_subdued_dark="*neutral_400",
    )
