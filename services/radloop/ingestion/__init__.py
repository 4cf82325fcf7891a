"""The hospital's door: orders, patients, reports and images come in, and become events."""
