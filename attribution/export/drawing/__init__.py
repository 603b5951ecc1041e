"""Drawing shared by the formats: cells, colours, fonts, layout, and the static pictures."""
