"""Nouns and rules of triage: the case and its place, the policy, and which cases are worth an answer."""
