"""A suite that runs the neuron once, and reports what the process looks like that it runs in."""

import os
import random
import resource
import signal
import sys

import numpy as np
import torch

from harness.suites.common.base import Answer, DivergedError, Measurement, Suite


class Probe(Suite):
    """How many spikes the neuron emits."""

    def run(self, workload):
        """Run the neuron on a small input."""
        details = self.process()
        neuron = workload.neuron()
        measured = Answer({"step_seconds": Measurement(0.5, samples=(0.4, 0.6), n=2)})
        workload.progress(0.5, "running the neuron")
        spikes = neuron(torch.ones(2, 3, 4))
        fraction = float(spikes.mean())
        if fraction != fraction:
            raise DivergedError("the loss is nan in epoch 1", measured)
        return Answer({"spike_fraction": Measurement(fraction)}, details={**details, **getattr(neuron, "notes", {})})

    def process(self):
        """Describe this process."""
        return {
            "process": os.getpid(),
            "group": os.getpgid(0),
            "session": os.getsid(0),
            "threads": torch.get_num_threads(),
            "draws": [random.random(), float(np.random.rand()), float(torch.rand(()))],
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "cuda_touched": torch.cuda.is_initialized() or torch.cuda._is_in_bad_fork(),
            "command_line_imported": "typer" in sys.modules or "pytest" in sys.modules,
            "main_module": getattr(sys.modules["__main__"], "__file__", None),
            "core_bytes": resource.getrlimit(resource.RLIMIT_CORE)[0],
            "data_bytes": resource.getrlimit(resource.RLIMIT_DATA)[0],
            "interrupt_blocked": signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()),
            "thread_variable": os.environ.get("OMP_NUM_THREADS"),
        }
