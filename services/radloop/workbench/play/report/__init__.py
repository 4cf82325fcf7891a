"""The page that a play leaves: one file, with plots, that needs nothing else to be read."""
