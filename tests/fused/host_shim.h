// Lets a C++ compiler take the printed CUDA C: a grid of threads that a test walks through one after another.
#pragma once
#include <cmath>
using namespace std;
#define __global__
#define __device__
struct Place { unsigned x; };
static Place blockIdx, blockDim, threadIdx, gridDim;
extern "C" void stand(unsigned block, unsigned thread, unsigned blocks, unsigned threads) {
    blockIdx.x = block; threadIdx.x = thread; gridDim.x = blocks; blockDim.x = threads;
}
