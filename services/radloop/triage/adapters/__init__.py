"""Triage's contacts with Postgres, blobs and gRPC."""
