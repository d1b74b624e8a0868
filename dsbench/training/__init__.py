"""Training one network: data in batches, the Lightning module, schedules, stopping and checkpoints."""
