"""What printed CUDA kernels begin with: how numbers lie in memory and how packs of them are read and written.

Without a header: NVRTC brings none for half precision along, and finding CUDA's on a machine is a trouble of its own.
Must not know neurons.
"""

from __future__ import annotations

__all__ = ["prelude"]

_STORED = {"float64": "double", "float32": "float", "float16": "unsigned short", "bfloat16": "unsigned short"}
"""dtype -> how a number of it lies in memory; half precision as its bits."""

_CONVERSIONS = {
    "float64": """
__device__ inline real widened(stored number) { return number; }
__device__ inline stored narrowed(real number) { return number; }
""",
    "float16": """
__device__ inline real widened(stored bits) {
    real number;
    asm("cvt.f32.f16 %0, %1;" : "=f"(number) : "h"(bits));
    return number;
}
__device__ inline stored narrowed(real number) {
    stored bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(number));
    return bits;
}
""",
    "bfloat16": """
__device__ inline real widened(stored bits) { return __uint_as_float((unsigned int)bits << 16); }
__device__ inline stored narrowed(real number) {
    const unsigned int bits = __float_as_uint(number);
    if (number != number) return 0x7fff;
    return stored((bits + 0x7fff + (bits >> 16 & 1)) >> 16);  // to nearest, ties to even
}
""",
}
_CONVERSIONS["float32"] = _CONVERSIONS["float64"]

_REALS = {
    "float": """
__device__ inline real from_bits(unsigned int bits) { return __uint_as_float(bits); }
__device__ inline real near_reciprocal(real number) {
    real inverse;
    asm("rcp.approx.f32 %0, %1;" : "=f"(inverse) : "f"(number));
    return inverse;
}
""",
    "double": """
__device__ inline real from_bits(unsigned long long bits) { return __longlong_as_double(bits); }
__device__ inline real near_reciprocal(real number) { return real(1) / number; }
""",
}

_TEXT = """// Made by Spikeboard from a neuron's step; do not edit.
typedef {stored} stored;
typedef {real} real;
typedef {offset} offset;

#ifndef ON_HOST
{device}
#endif

template <int LANES> struct alignas(LANES * sizeof(stored)) Pack {{ stored lane[LANES]; }};

template <int LANES> __device__ inline Pack<LANES> pack(const stored *from, offset at) {{
    return *reinterpret_cast<const Pack<LANES> *>(from + at);
}}

template <int LANES> __device__ inline void put(stored *to, offset at, const Pack<LANES> &numbers) {{
    *reinterpret_cast<Pack<LANES> *>(to + at) = numbers;
}}

template <int LANES> __device__ inline void read(const stored *from, offset at, real (&to)[LANES]) {{
    const Pack<LANES> numbers = pack<LANES>(from, at);
    #pragma unroll
    for (int l = 0; l < LANES; ++l) to[l] = widened(numbers.lane[l]);
}}

template <int LANES> __device__ inline void write(stored *to, offset at, const real (&from)[LANES]) {{
    Pack<LANES> numbers;
    #pragma unroll
    for (int l = 0; l < LANES; ++l) numbers.lane[l] = narrowed(from[l]);
    put(to, at, numbers);
}}

template <int LANES> __device__ inline void write_reals(real *to, offset at, const real (&from)[LANES]) {{
    #pragma unroll
    for (int l = 0; l < LANES; ++l) to[at + l] = from[l];
}}

template <int LANES> __device__ inline void fill(real (&to)[LANES], real number) {{
    #pragma unroll
    for (int l = 0; l < LANES; ++l) to[l] = number;
}}

template <int LANES>
__device__ inline void spread(const real *from, offset at, offset repeats, offset count, real (&to)[LANES]) {{
    #pragma unroll
    for (int l = 0; l < LANES; ++l) to[l] = from[(at + l) / repeats % count];
}}

// Adds up what the threads of a block have found, always in the same order.
template <int LANES> __device__ inline void add_up(const real (&found)[LANES], real *to) {{
    __shared__ real sums[{threads}];
    real sum = found[0];
    #pragma unroll
    for (int l = 1; l < LANES; ++l) sum += found[l];
    sums[threadIdx.x] = sum;
    __syncthreads();
    for (unsigned int half = blockDim.x / 2; half; half /= 2) {{
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
        __syncthreads();
    }}
    if (threadIdx.x == 0) to[blockIdx.x] = sums[0];
}}

"""


def prelude(dtype: str, narrow: bool, threads: int) -> str:
    """Return types and functions for tensors of `dtype`, with 32-bit offsets if `narrow`, for blocks of `threads`."""
    real = "double" if dtype == "float64" else "float"
    return _TEXT.format(
        stored=_STORED[dtype],
        real=real,
        offset="unsigned int" if narrow else "unsigned long long",
        device=(_CONVERSIONS[dtype] + _REALS[real]).strip(),
        threads=threads,
    )
