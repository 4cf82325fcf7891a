"""retraining: from settled labels to a new model version, through the gates of the change-control plan."""
