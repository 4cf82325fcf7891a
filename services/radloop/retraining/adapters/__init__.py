"""The only floor of this room that knows torch, ONNX, Triton's folders, Postgres and gRPC."""
