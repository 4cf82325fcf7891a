"""The command `radloop`: asks the rooms over gRPC, and shows what they answer."""
