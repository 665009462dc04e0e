// Runs CUDA kernels on the CPU, to test them without a GPU: one block after the other, and each
// thread of a block as a fibre. A barrier switches to another fibre. Between two barriers, the
// fibres run in an order that is drawn from a seed, so that a missing barrier changes the results.

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <cmath>
#include <ucontext.h>
#include <vector>

#define __device__
#define __global__
#define __noinline__
#define __launch_bounds__(threads)
#define __shared__ static
#define __align__(n) __attribute__((aligned(n)))

struct Index { unsigned x; };
static Index threadIdx, blockIdx, blockDim, gridDim;

struct Rendezvous {
    unsigned size = 0, arrived = 0, generation = 0;
};

static const size_t STACK = 128 * 1024;
static ucontext_t scheduler;
static std::vector<ucontext_t> fibres;
static std::vector<char *> stacks;
static std::vector<char> is_done;
static Rendezvous of_block;
static std::vector<Rendezvous> of_warp_;
static uint64_t exchanged[2][1024];

static void yield_fibre() { swapcontext(&fibres[threadIdx.x], &scheduler); }

static void meet(Rendezvous &r) {
    unsigned generation = r.generation;
    if (++r.arrived == r.size) {
        r.arrived = 0;
        ++r.generation;
    } else
        while (r.generation == generation) yield_fibre();
}

static void __syncthreads() { meet(of_block); }

// Give `value` to all lanes of the warp; return the place of the values of its lanes.
static uint64_t *exchange(uint64_t value) {
    Rendezvous &warp = of_warp_[threadIdx.x / 32];
    uint64_t *values = exchanged[warp.generation & 1];
    values[threadIdx.x] = value;
    meet(warp);
    return values + threadIdx.x / 32 * 32;
}

static unsigned __ballot_sync(unsigned, bool flag) {
    uint64_t *lanes = exchange(flag);
    unsigned bits = 0;
    for (int i = 0; i < 32; ++i) bits |= (unsigned)lanes[i] << i;
    return bits;
}

static float __shfl_xor_sync(unsigned, float x, int distance) {
    uint64_t bits = 0;
    memcpy(&bits, &x, 4);
    bits = exchange(bits)[(threadIdx.x % 32) ^ distance];
    memcpy(&x, &bits, 4);
    return x;
}

static int min(int a, int b) { return a < b ? a : b; }
static int max(int a, int b) { return a > b ? a : b; }
static int __popc(unsigned bits) { return __builtin_popcount(bits); }
static int __ffs(unsigned bits) { return __builtin_ffs(bits); }
template <typename T> static T atomicAdd(T *at, T x) { T old = *at; *at = old + x; return old; }
static int atomicMin(int *at, int x) { int old = *at; if (x < old) *at = x; return old; }

// The file is compiled with -ffp-contract=off, so these round once per operation.
static float __fadd_rn(float a, float b) { return a + b; }
static float __fsub_rn(float a, float b) { return a - b; }
static float __fmul_rn(float a, float b) { return a * b; }
static double __dadd_rn(double a, double b) { return a + b; }
static double __dmul_rn(double a, double b) { return a * b; }
static float __int_as_float(unsigned bits) { float x; memcpy(&x, &bits, 4); return x; }
static double __longlong_as_double(long long bits) { double x; memcpy(&x, &bits, 8); return x; }
static long long __double_as_longlong(double x) { long long bits; memcpy(&bits, &x, 8); return bits; }

// The dynamic shared memory of a block.
static unsigned long long pool[32768];
#define BLOCK_MEMORY(name) unsigned long long *name = pool

typedef void (*Kernel)(const long long *);
static Kernel current_kernel;
static const long long *current_context;

static void fibre_main() {
    current_kernel(current_context);
    is_done[threadIdx.x] = 1;
    yield_fibre();
}

static void run_block(unsigned threads, uint64_t *seed) {
    memset(pool, 0xa5, sizeof pool);  // a kernel must not rely on its initial contents
    is_done.assign(threads, 0);
    of_block = Rendezvous{threads};
    of_warp_.assign(threads / 32, Rendezvous{32});
    for (unsigned t = 0; t < threads; ++t) {
        getcontext(&fibres[t]);
        fibres[t].uc_stack.ss_sp = stacks[t];
        fibres[t].uc_stack.ss_size = STACK;
        fibres[t].uc_link = nullptr;
        makecontext(&fibres[t], fibre_main, 0);
    }
    std::vector<unsigned> order(threads);
    for (unsigned t = 0; t < threads; ++t) order[t] = t;
    for (bool runs = true; runs;) {
        for (unsigned t = threads - 1; t > 0 && *seed; --t) {
            *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
            std::swap(order[t], order[(*seed >> 33) % (t + 1)]);
        }
        runs = false;
        for (unsigned t : order) {
            if (is_done[t]) continue;
            runs = true;
            threadIdx.x = t;
            swapcontext(&scheduler, &fibres[t]);
        }
    }
}

static void run_grid(Kernel kernel, const long long *context, unsigned blocks, unsigned threads,
                     uint64_t seed) {
    current_kernel = kernel;
    current_context = context;
    fibres.resize(threads);
    while (stacks.size() < threads) stacks.push_back((char *)malloc(STACK));
    blockDim.x = threads;
    gridDim.x = blocks;
    for (unsigned b = 0; b < blocks; ++b) {
        blockIdx.x = b;
        run_block(threads, &seed);
    }
}
