"""Feedback's contacts with Postgres and gRPC."""
