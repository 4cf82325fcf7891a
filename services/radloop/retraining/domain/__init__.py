"""What a model learns from, what it must prove, and what is kept as proof. Pure: numbers in, numbers out."""
