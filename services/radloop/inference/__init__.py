"""inference: models on Triton read studies, most urgent first, and say what they found or why they could not."""
