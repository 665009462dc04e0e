// Tables, order keys and primitives of a block, which all kernels share.
//
// The names of columns, such as POPULATIONS_START, are generated from the Python layout; see
// `source.py`. Everything that adds floats in the forward pass uses intrinsics that round once per
// operation, because a fused multiply-add would give other bits than the CPU.

typedef unsigned long long u64;
typedef long long i64;

// The dynamic shared memory of a block. Tests on a CPU define it otherwise.
#ifndef BLOCK_MEMORY
#define BLOCK_MEMORY(name) extern __shared__ u64 name[]
#endif

// More threads would leave fewer than 128 registers for each.
#define KERNEL extern "C" __global__ void __launch_bounds__(MAX_THREADS)

#define ALL_LANES 0xffffffffu

// A slot of a group: `count` spikes of `origin` that are delivered over all connections without
// delay (`via` is -1), or over the connection `via`, whose delay ends.
struct __align__(16) Slot {
    int origin, count, via, owner;
};

// A turn of a population under layer-sync, in which it fired the rows from `row` on. `potentials`
// and `slot` are the places of its first potential and of the first slot of its spikes.
struct Turn {
    int population, step, row, potentials, slot;
};

// The read-only tables of a network.
struct Network {
    const int *populations, *connections, *links, *owner, *routes;
    const float *weights, *thresholds;
    int neurons, populations_count, connections_count, output;
};

#define POPULATION(net, p, column) \
    ((net).populations[(p) * POPULATIONS_COLUMNS + POPULATIONS_##column])
#define CONNECTION(net, c, column) \
    ((net).connections[(c) * CONNECTIONS_COLUMNS + CONNECTIONS_##column])

template <typename T> __device__ T *address(const i64 *context, int column) {
    return reinterpret_cast<T *>(context[column]);
}

__device__ inline double number(const i64 *context, int column) {
    return __longlong_as_double(context[column]);
}

__device__ inline Network network_of(const i64 *context) {
    Network net;
    net.populations = address<const int>(context, CONTEXT_POPULATIONS);
    net.connections = address<const int>(context, CONTEXT_CONNECTIONS);
    net.links = address<const int>(context, CONTEXT_LINKS);
    net.routes = address<const int>(context, CONTEXT_ROUTES);
    net.owner = address<const int>(context, CONTEXT_OWNER);
    net.weights = address<const float>(context, CONTEXT_WEIGHTS);
    net.thresholds = address<const float>(context, CONTEXT_THRESHOLDS);
    net.neurons = (int)context[CONTEXT_NEURONS];
    net.populations_count = (int)context[CONTEXT_POPULATION_COUNT];
    net.connections_count = (int)context[CONTEXT_CONNECTION_COUNT];
    net.output = (int)context[CONTEXT_OUTPUT];
    return net;
}

// Order keys: see `neuroasync.core.kernels.order_keys`.
#define GOLDEN 0x9E3779B97F4A7C15ull
#define DROPOUT_STREAM 0xD1B54A32D192ED03ull

__device__ inline u64 mixed(u64 z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

__device__ inline u64 step_prefix(u64 seed, int pass, int step) {
    u64 h = mixed(seed + GOLDEN);
    h = mixed(h + GOLDEN * ((u64)pass + 1));
    return mixed(h + GOLDEN * ((u64)step + 1));
}

__device__ inline u64 neuron_key(u64 prefix, int neuron) {
    return mixed(prefix + GOLDEN * ((u64)neuron + 1));
}

__device__ inline double uniform(u64 key) { return (double)(key >> 40) / 16777216.0; }

// Return how many threads with a lower number have `flag`, and the number of all that have it.
// Every thread of the block must call this.
__device__ inline int ranked(bool flag, int *total) {
    __shared__ int of_warp[32];
    unsigned ballot = __ballot_sync(ALL_LANES, flag);
    int lane = threadIdx.x & 31, warp = threadIdx.x >> 5, before = 0, all = 0;
    __syncthreads();  // a previous call may still read `of_warp`
    if (lane == 0) of_warp[warp] = __popc(ballot);
    __syncthreads();
    for (int w = 0; w < (int)(blockDim.x >> 5); ++w) {
        if (w < warp) before += of_warp[w];
        all += of_warp[w];
    }
    *total = all;
    return before + __popc(ballot & ((1u << lane) - 1));
}

// Return the sum over the lanes of a warp, the same in each lane, in a fixed order.
__device__ inline float warp_sum(float x) {
    for (int distance = 16; distance > 0; distance >>= 1)
        x += __shfl_xor_sync(ALL_LANES, x, distance);
    return x;
}

// Return whether a spike event is delivered over connection `c`.
__device__ inline bool takes_part(const Network &net, int c, int via) {
    return via >= 0 ? c == via : CONNECTION(net, c, DELAY) == 0;
}

__device__ inline int size_of(const Network &net, int p) {
    return POPULATION(net, p, STOP) - POPULATION(net, p, START);
}

// Return the position of `target` in a sparse connection's row of `source`, or -1.
__device__ inline int sparse_synapse(const Network &net, int c, int source, int target) {
    const int *indptr = net.links + CONNECTION(net, c, INDPTR) + source;
    const int *indices = net.links + CONNECTION(net, c, INDICES);
    int low = indptr[0], high = indptr[1];
    while (low < high) {
        int middle = (low + high) >> 1;
        if (indices[middle] < target)
            low = middle + 1;
        else
            high = middle;
    }
    return low < indptr[1] && indices[low] == target ? CONNECTION(net, c, WEIGHT) + low : -1;
}

// The geometry of a convolution.
struct Convolution {
    int weight, channels_in, height_in, width_in, channels_out, height_out, width_out;
    int kernel_y, kernel_x, stride_y, stride_x, padding_y, padding_x;
};

__device__ inline Convolution convolution_of(const Network &net, int c) {
    const int *row = net.connections + c * CONNECTIONS_COLUMNS;
    Convolution f;
    f.weight = row[CONNECTIONS_WEIGHT];
    f.channels_in = row[CONNECTIONS_CHANNELS_IN];
    f.height_in = row[CONNECTIONS_HEIGHT_IN];
    f.width_in = row[CONNECTIONS_WIDTH_IN];
    f.channels_out = row[CONNECTIONS_CHANNELS_OUT];
    f.height_out = row[CONNECTIONS_HEIGHT_OUT];
    f.width_out = row[CONNECTIONS_WIDTH_OUT];
    f.kernel_y = row[CONNECTIONS_KERNEL_Y];
    f.kernel_x = row[CONNECTIONS_KERNEL_X];
    f.stride_y = row[CONNECTIONS_STRIDE] >> 20;
    f.stride_x = row[CONNECTIONS_STRIDE] & 0xfffff;
    f.padding_y = row[CONNECTIONS_PADDING] >> 20;
    f.padding_x = row[CONNECTIONS_PADDING] & 0xfffff;
    return f;
}

// Return the place of the weight from `source` to `target` in a convolution, or -1.
__device__ inline int convolution_synapse(const Convolution &f, int source, int target) {
    int plane_in = f.height_in * f.width_in, plane_out = f.height_out * f.width_out;
    int channel = source / plane_in, place = source - channel * plane_in;
    int out = target / plane_out, at = target - out * plane_out;
    int y = place / f.width_in, oy = at / f.width_out;
    int ky = y + f.padding_y - oy * f.stride_y;
    int kx = place - y * f.width_in + f.padding_x - (at - oy * f.width_out) * f.stride_x;
    if (ky < 0 || ky >= f.kernel_y || kx < 0 || kx >= f.kernel_x) return -1;
    return f.weight + ((out * f.channels_in + channel) * f.kernel_y + ky) * f.kernel_x + kx;
}

// The same as `synapse`, if the connection is not dense. It stays a call, because it is long.
__device__ __noinline__ int scattered_synapse(const Network &net, int c, int source, int target) {
    if (CONNECTION(net, c, KIND) == KIND_SPARSE) return sparse_synapse(net, c, source, target);
    return convolution_synapse(convolution_of(net, c), source, target);
}

// Return the place of the weight from `source` to `target` in `net.weights`, or -1 if there is no
// synapse. Both count from the start of their populations.
__device__ inline int synapse(const Network &net, int c, int source, int target) {
    if (CONNECTION(net, c, KIND) != KIND_DENSE) return scattered_synapse(net, c, source, target);
    int targets = size_of(net, CONNECTION(net, c, TARGET));
    return CONNECTION(net, c, WEIGHT) + source * targets + target;
}
