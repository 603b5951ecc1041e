"""The documentation: plain Markdown, and the modules that generate what is written from the code."""
