"""Heat maps of a family that the package does not have."""

import numpy as np
import torch
from pytorch_grad_cam.base_cam import BaseCAM

SIDE = 16


class Occlusion(BaseCAM):
    """How much a class loses where a patch of the mean grey lies (Zeiler and Fergus, 2014)."""

    def __init__(self, network, layers, reshape_transform=None):
        super().__init__(network, layers, reshape_transform, uses_gradients=False)

    def forward(self, input_tensor, targets, eigen_smooth=False):
        lost = np.zeros((1, 1, *input_tensor.shape[2:]), np.float32)
        with torch.no_grad():
            whole = targets[0](self.model(input_tensor)[0])
            for row in range(0, lost.shape[2], SIDE):
                for column in range(0, lost.shape[3], SIDE):
                    place = (..., slice(row, row + SIDE), slice(column, column + SIDE))
                    covered = input_tensor.clone()
                    covered[place] = input_tensor.mean()
                    lost[place] = float(whole - targets[0](self.model(covered)[0]))
        return self.aggregate_multi_layers([np.maximum(lost, 0)])
