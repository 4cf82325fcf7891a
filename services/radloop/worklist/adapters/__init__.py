"""Where the worklist meets the outside: page, gRPC, Postgres, pictures."""
