"""How one network is trained: benchmarks, data, models and the fixed protocol's loop."""
