"""Train many networks: python sweep.py -m model=cnn,dwsep width=8,16"""

from dsbench.cli.hydra import sweep

if __name__ == "__main__":
    sweep()
