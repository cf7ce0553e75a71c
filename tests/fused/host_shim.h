// Lets a C++ compiler take the printed CUDA C: blocks of threads that a test starts, one block after another.
#pragma once
#define ON_HOST
#include <math.h>
#include <pthread.h>
#include <string.h>
#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(threads)
struct Place { unsigned x; };
static thread_local Place blockIdx, blockDim, threadIdx, gridDim;
static pthread_barrier_t meeting;
#define __syncthreads() pthread_barrier_wait(&meeting)
extern "C" void gather(unsigned threads) { pthread_barrier_init(&meeting, nullptr, threads); }
extern "C" void part() { pthread_barrier_destroy(&meeting); }
extern "C" void stand(unsigned block, unsigned thread, unsigned blocks, unsigned threads) {
    blockIdx.x = block; threadIdx.x = thread; gridDim.x = blocks; blockDim.x = threads;
}


template <typename To, typename From> static inline To same_bits(From from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}
static inline float from_bits(unsigned int bits) { return same_bits<float>(bits); }
static inline double from_bits(unsigned long long bits) { return same_bits<double>(bits); }
static inline float near_reciprocal(float number) { return 1 / number; }
static inline double near_reciprocal(double number) { return 1 / number; }
#if STORED_BITS_OF == 11  // float16: as many bits of precision
static inline float widened(unsigned short bits) { return same_bits<_Float16>(bits); }
static inline unsigned short narrowed(float number) { return same_bits<unsigned short>((_Float16)number); }
#elif STORED_BITS_OF == 8  // bfloat16
static inline float widened(unsigned short bits) { return same_bits<float>((unsigned int)bits << 16); }
static inline unsigned short narrowed(float number) {
    if (number != number) return 0x7fff;
    const unsigned int bits = same_bits<unsigned int>(number);
    return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}
#else
template <typename T> static inline T widened(T number) { return number; }
template <typename T> static inline T narrowed(T number) { return number; }
#endif
