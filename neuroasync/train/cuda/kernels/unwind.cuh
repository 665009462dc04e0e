// The kernels of the backward pass.

// Add the gradients of sample `k` to those of the block.
__device__ inline void unwind_sample(Unwind &u, int k) {
    const Network &net = u.net;
    u.s.k = k;
    place_record(u.context, u.s, u.timesteps);
    for (int i = threadIdx.x; i < net.neurons; i += blockDim.x) {
        u.state.v[i] = u.state.pending[i] = 0.0f;
        for (int row = 0; row < u.ring; ++row)
            u.state.site_grad[row * net.neurons + i] = u.state.delayed[row * net.neurons + i] =
                0.0f;
    }
    for (int p = threadIdx.x; p < u.ring * net.populations_count; p += blockDim.x)
        u.state.has_site[p] = 0;
    __syncthreads();
    bool has_turns = u.context[CONTEXT_POLICY] == POLICY_LAYER_SYNC;
    for (u.s.pass = address<const int>(u.context, CONTEXT_PASSES)[k] - 1; u.s.pass >= 0;
         --u.s.pass) {
        i64 cell = (i64)k * u.timesteps + u.s.pass;
        u.grad_votes = address<const float>(u.context, CONTEXT_GRAD_VOTES) + cell * u.classes;
        u.grad_spikes =
            address<const float>(u.context, CONTEXT_GRAD_SPIKES) + cell * net.populations_count;
        if (has_turns)
            unwind_turns(u);
        else
            unwind_pass(u);
    }
}

KERNEL backward(const i64 *context) {
    BLOCK_MEMORY(block_memory);
    Unwind u = {};
    u.context = context;
    u.net = network_of(context);
    u.ring = (int)context[CONTEXT_RING];
    u.timesteps = (int)context[CONTEXT_TIMESTEPS];
    u.classes = (int)context[CONTEXT_CLASSES];
    u.surrogate = (int)context[CONTEXT_SURROGATE];
    u.slope = (float)number(context, CONTEXT_SLOPE);
    u.grad = address<float>(context, CONTEXT_GRADS) + blockIdx.x * context[CONTEXT_WEIGHT_COUNT];
    char *slab = address<char>(context, CONTEXT_STATE);
    void *memory = slab ? (void *)(slab + context[CONTEXT_STATE_BYTES] * blockIdx.x) : block_memory;
    u.state = unwinding_at(memory, u.net.neurons, u.net.populations_count, u.ring);
    for (int k = blockIdx.x; k < (int)context[CONTEXT_SAMPLES]; k += gridDim.x) unwind_sample(u, k);
}

// Add up the gradients of all blocks, in their order.
KERNEL add_up(const i64 *context) {
    i64 size = context[CONTEXT_WEIGHT_COUNT];
    const float *grads = address<const float>(context, CONTEXT_GRADS);
    for (i64 w = (i64)blockIdx.x * blockDim.x + threadIdx.x; w < size;
         w += (i64)gridDim.x * blockDim.x) {
        float total = 0.0f;
        for (i64 block = 0; block < context[CONTEXT_GRAD_COUNT]; ++block)
            total += grads[block * size + w];
        address<float>(context, CONTEXT_GRAD)[w] = total;
    }
}
