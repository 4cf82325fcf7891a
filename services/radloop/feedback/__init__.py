"""Feedback: records what readers answered, and settles it into labels."""
