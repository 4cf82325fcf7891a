"""The nouns of reading: case, model version, fitness, answer. Pure."""
