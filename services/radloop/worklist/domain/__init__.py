"""What the reading room knows of a case, where it stands, and what may be on the screen."""
