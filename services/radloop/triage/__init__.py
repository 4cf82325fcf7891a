"""Triage: puts the reading list in order from what is known, and asks for the answers worth having."""
