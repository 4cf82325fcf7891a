"""radloop: a physician-in-the-loop AI platform for radiology."""
