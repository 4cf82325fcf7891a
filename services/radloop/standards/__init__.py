"""Reading and writing the hospital's standards; pure, shared by the rooms."""
