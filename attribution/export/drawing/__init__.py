"""What the formats draw with: cells, colours, fonts, lines of boxes."""
