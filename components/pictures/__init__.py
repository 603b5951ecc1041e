"""The pictures: one Gradio component each, drawn by a script of ``static/``."""
