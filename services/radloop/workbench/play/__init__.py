"""A play: the simulated hospital against one platform, from what is wanted to what came of it."""
