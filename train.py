"""Train one network: python train.py model=dwsep data=cifar10"""

from dsbench.cli.hydra import train

if __name__ == "__main__":
    train()
