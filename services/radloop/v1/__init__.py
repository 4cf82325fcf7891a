"""Generated from proto/radloop/v1; never edited."""
