"""Publishing: what the platform says of a case reaches the hospital's own systems, once and correctably."""
