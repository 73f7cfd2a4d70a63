"""Parts of a training strategy beside its schedules and its loss."""
