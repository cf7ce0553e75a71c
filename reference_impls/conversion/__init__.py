"""From an ANN to a spiking network: activations, thresholds and the neurons that stand for them.

The training methods that convert share it. Must not know how a method is measured.
"""
