"""The whole platform on one machine, from pip alone: Postgres, broker, Triton and the rooms, started and watched."""
