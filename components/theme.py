"""How the app looks beside the pictures: one accent, quiet surfaces, the fonts that Gradio itself serves."""

from __future__ import annotations

import gradio as gr

STYLE = """
.gradio-container { max-width: 1240px !important; margin: 0 auto !important; }
.nav-holder { display: none !important; } /* Gradio's own navigation, beside which ours stands */
#head header { padding: 10px 2px 2px; display: flex; flex-wrap: wrap; align-items: end; justify-content: space-between; gap: 10px 32px; }
#head h1 { margin: 0; font-size: 24px; font-weight: 650; letter-spacing: -.01em; color: var(--body-text-color); }
#head p { margin: 2px 0 0; font-size: 15px; color: var(--body-text-color-subdued); }
#head nav { display: flex; flex-wrap: wrap; gap: 2px; font-size: 15px; }
#head nav a { padding: 5px 12px; border-radius: 999px; color: var(--body-text-color-subdued); text-decoration: none; }
#head nav a:hover { color: var(--body-text-color); background: var(--background-fill-secondary); }
#head nav a:focus-visible { outline: 2px solid var(--color-accent); outline-offset: 1px; }
#head nav a[aria-current] { color: var(--body-text-color); background: var(--background-fill-secondary); font-weight: 600; }
:is(#explain, #compare, #batch) { gap: 28px; align-items: flex-start; }
#text textarea, #second textarea { font-size: 18px; line-height: 1.5; }
#picture { min-height: 150px; padding: 4px 2px; }
#words, #without, #others { padding: 4px 2px; }
#lessons .html-container, #head .html-container { padding-inline: 2px; }
#lessons ol { display: flex; flex-wrap: wrap; gap: 6px; margin: 6px 0 0; padding: 0; list-style: none; counter-reset: lesson; }
#lessons a {
  display: block; padding: 6px 14px; border: 1px solid var(--border-color-primary); border-radius: 999px; font-size: 15px;
  color: var(--body-text-color); text-decoration: none; counter-increment: lesson;
}
#lessons a::before { content: counter(lesson) " "; color: var(--body-text-color-subdued); }
#lessons a:hover { background: var(--background-fill-secondary); }
#lessons a:focus-visible { outline: 2px solid var(--color-accent); outline-offset: 1px; }
#lessons a[aria-current] { background: var(--background-fill-secondary); font-weight: 600; border-color: var(--body-text-color-subdued); }
#lesson { max-width: 46rem; } #lesson p { font-size: 16px; line-height: 1.6; } #lesson h2 { margin: 10px 0 4px; }
#sources { font-size: 14px; color: var(--body-text-color-subdued); }
#pictures, #curves, #marks, #intervals, #many-intervals, #many-curves, #verdict { padding: 4px 2px; }
#believe { max-width: 22rem; }
#cost:not(:has(p)) { display: none; }
:is(#others, #predictions, #agreement, #curves, #many-curves, #many-intervals, #verdict):has(.attribution-picture.empty) { display: none; }
#options .block.owner { padding: 10px 12px 2px; background: var(--block-background-fill); }
#people { contain: inline-size; }
#people h2 { font-size: 18px; margin: 18px 0 6px; }
#people table { display: block; overflow-x: auto; margin-inline: 0; font-size: 14px; line-height: 1.4; }
#people :is(table, tr, th, td) { border: 0 !important; }
#people :is(th, td) { padding: 4px 12px 4px 0; box-shadow: 0 1px var(--border-color-primary); white-space: nowrap; text-align: start; }
#people td code { white-space: nowrap; }
.sharing { max-width: 22rem; }
.sharing .form:has(:placeholder-shown) { display: none; } /* until there is a link */
.gallery-item div { unicode-bidi: plaintext; }
@media (max-width: 640px) {
  #head h1 { font-size: 20px; }
  #head nav a { padding: 5px 9px; }
  :is(#explain, #compare, #batch) { gap: 14px; }
  footer .divider { display: none; } /* Gradio hides one of the two that it divides */
}

/* Gradio says of each block that it runs from left to right, whatever the language of the page. */
:root[dir="rtl"] .block[dir="ltr"] { direction: rtl; }
:root[dir="rtl"] .icon-wrap { right: auto; left: var(--size-5); }
:root[dir="rtl"] label > input:is([type="checkbox"], [type="radio"]) + span { margin-inline: var(--size-2) 0; }

/* ?view=embed: the picture and its text box (with fixed: without), as high as they are; an error is said all the same. */
.embed :is(#head, #controls, #without, #others, #believe, #verdict, footer), .embed #words:not(:has(.panel-error)) { display: none !important; }
.embed :is(body, gradio-app, .gradio-container, .gradio-container > main, .gradio-container .wrap) { min-height: 0 !important; }
.embed .gradio-container { max-width: none !important; padding: 0 !important; }
.embed .gradio-container > main { padding: 8px !important; }
.embed #picture { min-height: 0; }
.fixed #text, .fixed #second { display: none !important; }
"""


def theme() -> gr.themes.Base:
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
