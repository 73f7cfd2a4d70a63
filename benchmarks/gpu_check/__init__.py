"""Check of the trainer on a GPU, in stages that each leave their figures on disk at once."""
