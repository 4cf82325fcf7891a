"""DICOM: the facts of an object, its pixels as a model wants them, its bytes as they were received. Pure."""
