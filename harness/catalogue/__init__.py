"""What is known before anything runs: cells, cards, what fits together, presets and boards. Never imports torch."""
