"""Loggers tell other people's tools of a search: TensorBoard, MLflow, Weights & Biases."""
