"""What do ten minutes of a GPU tell? Stages that each leave their figures on disk at once."""
