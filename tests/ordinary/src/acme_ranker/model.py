import math

import torch
from torch import nn


class Ranker(nn.Module):
    """A perceptron; `os.system` and `eval(...)` are only words here."""

    def __init__(self, hidden=64, layers=2):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers))
        self.scale = 1 / math.sqrt(hidden)

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x)) * self.scale
        return x

    @classmethod
    def from_pretrained(cls, path):
        model = cls()
        model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        model.compile()
        return model.eval()
