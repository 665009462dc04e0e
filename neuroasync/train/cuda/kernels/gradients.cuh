// Shared by both backward passes: state, surrogate, and products with the weights. The equations
// are those of `neuroasync.train.kernels.backward` and `backward_turns`.

// Arrays in shared memory, or in global memory if the network is too large.
struct Unwinding {
    float *v, *active, *pending, *spike_grad;  // [N]: see `neuroasync.train.kernels.backward`
    float *site_grad, *delayed;                // [ring, N]
    int *site_step, *refractory;               // [N]
    int *first, *after;                        // [P]
    int *present;                              // [P + 1]: whether a slot comes from there
    int *has_site;                             // [ring, P]
};

__device__ inline Unwinding unwinding_at(void *memory, int neurons, int populations, int ring) {
    Unwinding u;
    u.v = (float *)memory;
    u.active = u.v + neurons;
    u.pending = u.active + neurons;
    u.spike_grad = u.pending + neurons;
    u.site_grad = u.spike_grad + neurons;
    u.delayed = u.site_grad + ring * neurons;
    u.site_step = (int *)(u.delayed + ring * neurons);
    u.refractory = u.site_step + neurons;
    u.first = u.refractory + neurons;
    u.after = u.first + populations;
    u.present = u.after + populations;
    u.has_site = u.present + populations + 1;
    return u;
}

// One sample's backward pass. Every thread has a copy.
struct Unwind {
    const i64 *context;
    Network net;
    Unwinding state;
    Sample s;
    int ring, timesteps, classes, surrogate;
    float slope;
    const float *grad_votes, *grad_spikes;  // of the current pass
    float *grad;                            // of the block
};

__device__ inline float surrogate_derivative(const Unwind &u, float x) {
    if (u.surrogate == SURROGATE_ARCTAN) {
        float scaled = u.slope * x;
        return 1.0f / (1.0f + scaled * scaled);
    }
    if (u.surrogate == SURROGATE_FAST_SIGMOID) {
        float scaled = 1.0f + u.slope * fabsf(x);
        return 1.0f / (scaled * scaled);
    }
    float e = expf(-fabsf(u.slope * x));
    return u.slope * e / ((1.0f + e) * (1.0f + e));
}

// Return the row of a ring that pass `pass` uses; passes before the first one have rows as well.
__device__ inline int ring_row(const Unwind &u, int pass) { return (pass + u.ring) % u.ring; }

// Return the gradient of the loss with respect to the number of spikes of neuron `i` in `p`.
__device__ inline float count_grad(const Unwind &u, int p, int i) {
    float g = u.grad_spikes[p];
    if (p == u.net.output) g += u.grad_votes[i - POPULATION(u.net, p, START)];
    return g;
}

// Return the sum of weight * `g` over the targets of `source`. All lanes of a warp must call this;
// each gets the sum.
__device__ __noinline__ float weighted(const Network &net, int c, int source, const float *g) {
    int kind = CONNECTION(net, c, KIND), lane = threadIdx.x & 31;
    float total = 0.0f;
    if (kind == KIND_DENSE) {
        int targets = size_of(net, CONNECTION(net, c, TARGET));
        const float *row = net.weights + CONNECTION(net, c, WEIGHT) + source * targets;
        for (int i = lane; i < targets; i += 32) total += row[i] * g[i];
    } else if (kind == KIND_SPARSE) {
        const int *indptr = net.links + CONNECTION(net, c, INDPTR) + source;
        const int *indices = net.links + CONNECTION(net, c, INDICES);
        const float *weights = net.weights + CONNECTION(net, c, WEIGHT);
        for (int k = indptr[0] + lane; k < indptr[1]; k += 32) total += weights[k] * g[indices[k]];
    } else {
        Convolution f = convolution_of(net, c);
        int plane = f.height_in * f.width_in, channel = source / plane;
        int place = source - channel * plane, size = f.kernel_y * f.kernel_x;
        int y = place / f.width_in + f.padding_y, x = place % f.width_in + f.padding_x;
        for (int k = lane; k < f.channels_out * size; k += 32) {
            int out = k / size, ky = k % size / f.kernel_x, kx = k % f.kernel_x;
            int oy = y - ky, ox = x - kx;
            if (oy < 0 || ox < 0 || oy % f.stride_y || ox % f.stride_x) continue;
            oy /= f.stride_y;
            ox /= f.stride_x;
            if (oy >= f.height_out || ox >= f.width_out) continue;
            total += net.weights[f.weight + (out * f.channels_in + channel) * size + k % size] *
                     g[(out * f.height_out + oy) * f.width_out + ox];
        }
    }
    return warp_sum(total);
}

// Return whether a slot contributes to the gradients of connection `c`: with `is_turn`, every spike
// of its source does, over whichever delay.
__device__ inline bool contributes(const Network &net, int c, const Slot &z, bool is_turn) {
    if (z.owner != CONNECTION(net, c, SOURCE)) return false;
    return is_turn ? z.via < 0 : takes_part(net, c, z.via);
}

// Add count * `g` to the gradients of a dense connection. Each weight belongs to one thread, which
// adds in slot order: an atomic addition does not make the thread wait.
__device__ inline void add_dense(const Unwind &u, int c, int begin, int end, const float *g,
                                 bool is_turn) {
    const Network &net = u.net;
    int targets = size_of(net, CONNECTION(net, c, TARGET)), first_weight = CONNECTION(net, c, WEIGHT);
    int start = POPULATION(net, CONNECTION(net, c, SOURCE), START);
    int groups = targets < (int)blockDim.x ? blockDim.x / targets : 1;
    int group = groups > 1 ? threadIdx.x / targets : 0;
    int column = groups > 1 ? threadIdx.x % targets : threadIdx.x;
    if (group >= groups) return;
    for (int first = begin; first < end; first += AT_ONCE) {
        Slot slots[AT_ONCE];
#pragma unroll
        for (int e = 0; e < AT_ONCE; ++e) slots[e] = u.s.slot[min(first + e, end - 1)];
#pragma unroll
        for (int e = 0; e < AT_ONCE; ++e) {
            const Slot &z = slots[e];
            int source = z.origin - start;
            if (first + e >= end || !contributes(net, c, z, is_turn) || source % groups != group)
                continue;
            float *row = u.grad + first_weight + (i64)source * targets;
            for (int i = column; i < targets; i += blockDim.x)
                atomicAdd(row + i, (float)z.count * g[i]);
        }
    }
}

__device__ inline void add_sparse(const Unwind &u, int c, int begin, int end, const float *g,
                                  bool is_turn) {
    const Network &net = u.net;
    int start = POPULATION(net, CONNECTION(net, c, SOURCE), START);
    const int *indices = net.links + CONNECTION(net, c, INDICES);
    for (int e = begin; e < end; ++e) {
        Slot z = u.s.slot[e];
        if (!contributes(net, c, z, is_turn)) continue;
        const int *indptr = net.links + CONNECTION(net, c, INDPTR) + z.origin - start;
        for (int k = indptr[0] + threadIdx.x; k < indptr[1]; k += blockDim.x)
            atomicAdd(u.grad + CONNECTION(net, c, WEIGHT) + k, (float)z.count * g[indices[k]]);
    }
}

__device__ inline void add_convolution(const Unwind &u, int c, int begin, int end, const float *g,
                                       bool is_turn) {
    const Network &net = u.net;
    Convolution f = convolution_of(net, c);
    int start = POPULATION(net, CONNECTION(net, c, SOURCE), START);
    int size = f.kernel_y * f.kernel_x, plane = f.height_in * f.width_in;
    for (int w = threadIdx.x; w < f.channels_out * f.channels_in * size; w += blockDim.x) {
        int out = w / size / f.channels_in, channel = w / size % f.channels_in;
        int ky = w % size / f.kernel_x, kx = w % f.kernel_x;
        float total = 0.0f;
        for (int e = begin; e < end; ++e) {
            Slot z = u.s.slot[e];
            int place = z.origin - start - channel * plane;
            if (!contributes(net, c, z, is_turn) || place < 0 || place >= plane) continue;
            int oy = place / f.width_in + f.padding_y - ky;
            int ox = place % f.width_in + f.padding_x - kx;
            if (oy < 0 || ox < 0 || oy % f.stride_y || ox % f.stride_x) continue;
            oy /= f.stride_y;
            ox /= f.stride_x;
            if (oy < f.height_out && ox < f.width_out)
                total += (float)z.count * g[(out * f.height_out + oy) * f.width_out + ox];
        }
        if (total != 0.0f) atomicAdd(u.grad + f.weight + w, total);
    }
}

// Add count * `g` of the slots to the gradients of the weights of connection `c`. `g` starts at
// the first neuron of its target.
__device__ __noinline__ void add_outer(const Unwind &u, int c, int begin, int end, const float *g,
                                 bool is_turn) {
    int kind = CONNECTION(u.net, c, KIND);
    if (kind == KIND_DENSE)
        add_dense(u, c, begin, end, g, is_turn);
    else if (kind == KIND_SPARSE)
        add_sparse(u, c, begin, end, g, is_turn);
    else
        add_convolution(u, c, begin, end, g, is_turn);
}

// Write dL/ds of the neurons of `p` that are sites, given by `step` (or all, if it is -1): from the
// loss, and from their targets' sites. A warp takes one neuron after the other.
__device__ inline void write_spike_grads(const Unwind &u, int p, const int *site_step, int step) {
    const Network &net = u.net;
    const Unwinding &state = u.state;
    int start = POPULATION(net, p, START), stop = POPULATION(net, p, STOP);
    int lane = threadIdx.x & 31;
    for (int base = start + (threadIdx.x & ~31); base < stop; base += blockDim.x) {
        int own = base + lane;
        bool is_site = own < stop && (step < 0 || site_step[own] == step);
        unsigned left = __ballot_sync(ALL_LANES, is_site);
        while (left) {
            int i = base + __ffs(left) - 1;
            left &= left - 1;
            float g = count_grad(u, p, i);
            for (int j = POPULATION(net, p, OUT_START); j < POPULATION(net, p, OUT_STOP); ++j) {
                int c = net.links[j], q = CONNECTION(net, c, TARGET);
                int there = ring_row(u, u.s.pass + CONNECTION(net, c, DELAY));
                if (!state.has_site[there * net.populations_count + q]) continue;
                const float *row = state.site_grad + there * net.neurons;
                g += weighted(net, c, i - start, row + POPULATION(net, q, START));
            }
            if (lane == 0) state.spike_grad[i] = g;
        }
    }
}

// Add the adjoints at the start of the pass to the gradients of the biases; decay the adjoints.
__device__ inline void end_pass(const Unwind &u) {
    const Network &net = u.net;
    i64 cell = (i64)u.s.k * u.timesteps + u.s.pass;
    const float *factors = address<const float>(u.context, CONTEXT_DECAYS);
    factors += (i64)address<const int>(u.context, CONTEXT_DECAY_OF)[cell] * net.neurons;
    int here = ring_row(u, u.s.pass);
    __syncthreads();
    for (int i = threadIdx.x; i < net.neurons; i += blockDim.x) {
        int p = net.owner[i];
        for (int c = 0; c < net.connections_count; ++c) {
            int bias = CONNECTION(net, c, BIAS);
            if (bias >= 0 && CONNECTION(net, c, TARGET) == p)
                atomicAdd(u.grad + bias + i - POPULATION(net, p, START), u.state.v[i]);
        }
        if (u.s.pass) u.state.v[i] *= factors[i];
        u.state.delayed[here * net.neurons + i] = 0.0f;
    }
    __syncthreads();
}
