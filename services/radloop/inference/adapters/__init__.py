"""Inference's contacts with Triton, model packages, blobs, Postgres and gRPC."""
