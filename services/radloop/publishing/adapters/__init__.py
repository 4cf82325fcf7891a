"""What publishing needs from outside, made concrete."""
