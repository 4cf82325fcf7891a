"""Embedded mode, the simulated hospital, the workshop and drills: everything that is never deployed."""
