"""Feedback asks nothing of the world outside: what it needs arrives as events and commands."""
