"""The aesthetic predictor: heads on image features, their training, measures and model files."""
