"""Jobs on workers: processes of this machine, Ray, SLURM."""
