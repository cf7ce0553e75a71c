"""What the fork server imports besides, where many cells will call torch.compile: its compiler, once for all of them.

It takes longer to import than most neurons take to compile. Nothing imported here may touch CUDA or start a thread:
what is compiled is compiled in the forked cell, in its own process.
"""

from __future__ import annotations

import gc
import os

os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # a pool of compilers would not outlive the fork

import torch
import torch._inductor.codegen.cpp
import torch._inductor.compile_fx
import torch._inductor.fx_passes.fuse_attention
import torch.export._trace
import torch.utils.cpp_extension
from torch._inductor.codecache import torch_key
from torch._inductor.fx_passes.joint_graph import lazy_init

torch_key()
with torch.no_grad():
    lazy_init(torch.device("cpu"))
gc.collect()
gc.freeze()
