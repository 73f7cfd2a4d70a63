"""Training strategies: image sampling, the general loss, and the adjustment of trained logits."""
