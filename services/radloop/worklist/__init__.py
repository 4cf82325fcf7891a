"""The reading room's page: the list in triage's order, the image, one key per answer."""
