"""Questions that take many attributions to answer: one file a study, pure functions."""
