"""Training steps of PyTorch, for the suite `step`: python3 steps.py PROGRAM THREADS.

Makes the model of a program with Adam, says "ready", and takes a step for each line that it is given; it prints the
milliseconds of each. Models, losses and batches are those of bench/suites/training/programs; numbers are random, for a
step takes as long whatever they are.
"""

import sys
import time

import torch
from torch import nn

PIXELS, SIDE, CLASSES = 784, 28, 10


def feed_forward(widths, activation, last):
    layers = []
    for which, (width, after) in enumerate(zip(widths, widths[1:])):
        layers.append(nn.Linear(width, after))
        if which < len(widths) - 2:
            layers.append(activation(which))
    return nn.Sequential(*layers, *last)


def deep_autoencoder():
    # the code, the fourth layer, is linear
    activation = lambda which: nn.Identity() if which == 3 else nn.Tanh()
    widths = [PIXELS, 1000, 500, 250, 30, 250, 500, 1000, PIXELS]
    x = torch.rand(256, PIXELS)
    return feed_forward(widths, activation, [nn.Sigmoid()]), nn.BCELoss(), x, x


def digits():
    model = feed_forward([PIXELS, 500, 300, CLASSES], lambda _: nn.ReLU(), [])
    return model, nn.CrossEntropyLoss(), torch.rand(256, PIXELS), torch.randint(CLASSES, (256,))


def convnet():
    blocks = []
    for channels, filters in [(1, 16), (16, 32), (32, 64)]:
        blocks += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    model = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, CLASSES))
    return model, nn.CrossEntropyLoss(), torch.rand(128, 1, SIDE, SIDE), torch.randint(CLASSES, (128,))


PROGRAMS = {"deep-autoencoder": deep_autoencoder, "digits": digits, "convnet": convnet}


def main():
    name, threads = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model, loss, x, y = PROGRAMS[name]()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    print("ready", torch.__version__, flush=True)
    for _ in sys.stdin:
        begin = time.perf_counter()
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        value.item()
        print(1000 * (time.perf_counter() - begin), flush=True)


main()
