"""What publishing knows and decides: the facts of a case, what the EHR should hold of it, what the RIS should show."""
