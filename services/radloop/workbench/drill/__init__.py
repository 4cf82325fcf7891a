"""The drill: a stack and a hospital under load, everything killed in turn, and the books held against each other afterwards."""
