"""What a hospital's orders, studies and patients are here, and when they belong together. Pure."""
