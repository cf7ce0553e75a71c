// One LIF layer, written and tuned by hand for the vectors of the machine it is compiled on: what a printed kernel could
// reach at best. h = v / 2 + x, s = h >= 1, v = h - s; the surrogate's slope is 1 / (1 + (pi (h - 1))^2). N is a multiple
// of BLOCK, T at most MOST_STEPS, arrays begin at a line of memory. Without AVX-512 nothing goes past the cache.
#ifdef __AVX512F__
#include <immintrin.h>
#endif
#include <omp.h>

constexpr long LANES = 16, BLOCK = 256, MOST_STEPS = 64, AHEAD = 4, MOST_THREADS = 64;
typedef float Line __attribute__((vector_size(64)));

static float scratch[MOST_THREADS][(MOST_STEPS + 2) * BLOCK] __attribute__((aligned(64)));

static inline Line &line(float *p) { return *reinterpret_cast<Line *>(p); }
static inline Line line(const float *p) { return *reinterpret_cast<const Line *>(p); }
static inline Line fired(Line h) { return h - 1.0f >= 0.0f ? Line{} + 1.0f : Line{}; }

static inline Line slope(Line h)
{
    const Line z = (h - 1.0f) * 3.14159265f;
    return 1.0f / (1.0f + z * z);
}

static inline void put(float *p, Line value, bool past_cache)
{
#ifdef __AVX512F__
    if (past_cache) {
        _mm512_stream_ps(p, (__m512)value);
        return;
    }
#endif
    line(p) = value;
}

static inline int most(int threads) { return threads < MOST_THREADS ? threads : MOST_THREADS; }

static inline void fetch(const float *row)
{
    for (long i = 0; i < BLOCK; i += LANES)
        __builtin_prefetch(row + i);
}

extern "C" void forward(const float *xs, float *spikes, float *last, long T, long N, int threads, int past_cache)
{
#pragma omp parallel for schedule(static) num_threads(most(threads))
    for (long start = 0; start < N; start += BLOCK) {
        Line v[BLOCK / LANES] = {}; // in registers
        for (long t = 0; t < T; ++t) {
            const float *x = xs + t * N + start;
            fetch(t + AHEAD < T ? x + AHEAD * N : x + (AHEAD - T) * N + BLOCK);
            for (long g = 0; g < BLOCK / LANES; ++g) {
                const Line h = v[g] * 0.5f + line(x + g * LANES), s = fired(h);
                put(spikes + t * N + start + g * LANES, s, past_cache);
                v[g] = h - s;
            }
        }
        for (long g = 0; g < BLOCK / LANES; ++g)
            line(last + start + g * LANES) = v[g];
    }
}

extern "C" void backward(const float *xs, const float *ds, float *dxs, long T, long N, int threads, int past_cache)
{
#pragma omp parallel for schedule(static) num_threads(most(threads))
    for (long start = 0; start < N; start += BLOCK) {
        float *kept = scratch[omp_get_thread_num()], *v = kept + T * BLOCK, *dv = v + BLOCK;
        for (long i = 0; i < BLOCK; i += LANES)
            line(v + i) = line(dv + i) = Line{};
        for (long t = 0; t < T; ++t) {
            const float *x = xs + t * N + start;
            fetch(t + AHEAD < T ? x + AHEAD * N : ds + (2 * T - 1 - t - AHEAD) * N + start);
            for (long i = 0; i < BLOCK; i += LANES) {
                const Line h = line(v + i) * 0.5f + line(x + i);
                line(kept + t * BLOCK + i) = slope(h);
                line(v + i) = h - fired(h);
            }
        }
        for (long t = T - 1; t >= 0; --t) {
            const float *d = ds + t * N + start;
            fetch(t >= AHEAD ? d - AHEAD * N : xs + (AHEAD - 1 - t) * N + start + BLOCK);
            for (long i = 0; i < BLOCK; i += LANES) {
                const Line dx = line(dv + i) + line(d + i) * line(kept + t * BLOCK + i);
                put(dxs + t * N + start + i, dx, past_cache);
                line(dv + i) = dx * 0.5f;
            }
        }
    }
}
