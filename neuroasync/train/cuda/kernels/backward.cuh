// The backward pass under the policies random, momentum and fifo: the peak rule.

// Update the adjoint of a neuron at its site, which has the potential `x`.
__device__ inline void visit_site(const Unwind &u, int p, int i, float x, bool keeps_adjoint) {
    const Unwinding &state = u.state;
    float g = state.spike_grad[i] * surrogate_derivative(u, x - u.net.thresholds[i]);
    if (keeps_adjoint) g += state.v[i];
    int here = ring_row(u, u.s.pass);
    state.v[i] = state.active[i] = state.site_grad[here * u.net.neurons + i] = g;
    state.has_site[here * u.net.populations_count + p] = 1;
}

// Prepare the sites of a pass.
__device__ inline void open_unwound_pass(const Unwind &u) {
    const Network &net = u.net;
    const Unwinding &state = u.state;
    i64 cell = (i64)u.s.k * u.timesteps + u.s.pass;
    const int *first = address<const int>(u.context, CONTEXT_FIRST) + cell * net.populations_count;
    const int *after = address<const int>(u.context, CONTEXT_AFTER) + cell * net.populations_count;
    const int *steps = address<const int>(u.context, CONTEXT_PEAK_STEPS) + cell * net.neurons;
    int here = ring_row(u, u.s.pass);
    for (int p = threadIdx.x; p < net.populations_count; p += blockDim.x) {
        state.first[p] = first[p];
        state.after[p] = after[p];
        state.has_site[here * net.populations_count + p] = 0;
    }
    for (int i = threadIdx.x; i < net.neurons; i += blockDim.x) {
        int p = net.owner[i], step = steps[i];
        // A neuron that nothing reached has its site where its population was first evaluated. In
        // a population with a sync threshold it has none, since it could not have fired.
        if (step == -1 && POPULATION(net, p, SYNC_THRESHOLD) == 0) step = first[p];
        state.site_step[i] = step < 0 ? -2 : step;
        state.site_grad[here * net.neurons + i] = 0.0f;
        state.active[i] = state.v[i];
    }
    __syncthreads();
    int end = u.s.step_rows[u.s.pass_steps[u.s.pass + 1]];
    for (int r = u.s.step_rows[u.s.pass_steps[u.s.pass]] + threadIdx.x; r < end; r += blockDim.x)
        if (u.s.row_neuron[r] & 1) state.active[u.s.row_neuron[r] >> 1] = 0.0f;
    __syncthreads();
}

// Visit the silent sites of never evaluated populations that belong after `step` (-1: at the end).
__device__ inline void visit_unevaluated(const Unwind &u, const float *peaks, int step) {
    const Network &net = u.net;
    for (int turn = net.populations_count - 1; turn >= 0; --turn) {
        int p = POPULATION(net, turn, AT_TURN);
        if (u.state.first[p] >= 0 || u.state.after[p] != step ||
            POPULATION(net, p, SYNC_THRESHOLD) > 0)
            continue;
        write_spike_grads(u, p, u.state.site_step, -1);
        __syncthreads();
        for (int i = POPULATION(net, p, START) + threadIdx.x; i < POPULATION(net, p, STOP);
             i += blockDim.x)
            visit_site(u, p, i, peaks[i], true);
        __syncthreads();
    }
}

// Visit the sites of one step: the rows, and the silent sites.
__device__ inline void visit_sites(const Unwind &u, const float *peaks, int step, int row0,
                                   int row1) {
    const Network &net = u.net;
    const Unwinding &state = u.state;
    const float *delayed = state.delayed + ring_row(u, u.s.pass) * net.neurons;
    for (int r = row0 + threadIdx.x; r < row1; r += blockDim.x) {
        int i = u.s.row_neuron[r] >> 1;
        state.spike_grad[i] = count_grad(u, net.owner[i], i) + state.pending[i] + delayed[i];
    }
    for (int p = 0; p < net.populations_count; ++p)
        write_spike_grads(u, p, state.site_step, step);
    __syncthreads();
    for (int r = row0 + threadIdx.x; r < row1; r += blockDim.x) {
        int i = u.s.row_neuron[r] >> 1, p = net.owner[i];
        visit_site(u, p, i, u.s.row_potential[r], POPULATION(net, p, SUBTRACTS) != 0);
    }
    for (int i = threadIdx.x; i < net.neurons; i += blockDim.x)
        if (state.site_step[i] == step) visit_site(u, net.owner[i], i, peaks[i], true);
    __syncthreads();
}

// Return the gradient of the spikes of a slot over all connections by which it was delivered. All
// lanes of a warp must call this.
__device__ inline float delivery_grad(const Unwind &u, const Slot &z) {
    const Network &net = u.net;
    float total = 0.0f;
    for (int j = POPULATION(net, z.owner, OUT_START); j < POPULATION(net, z.owner, OUT_STOP); ++j) {
        int c = net.links[j];
        if (!takes_part(net, c, z.via)) continue;
        const float *g = u.state.active + POPULATION(net, CONNECTION(net, c, TARGET), START);
        total += weighted(net, c, z.origin - POPULATION(net, z.owner, START), g);
    }
    return total;
}

// Add the gradients of the deliveries of a step to the weights and to the delivered spikes.
__device__ inline void undo_deliveries(const Unwind &u, int slot0, int slot1) {
    const Network &net = u.net;
    int warps = blockDim.x >> 5, lane = threadIdx.x & 31;
    for (int p = threadIdx.x; p <= net.populations_count; p += blockDim.x) u.state.present[p] = 0;
    __syncthreads();
    for (int e = slot0 + threadIdx.x; e < slot1; e += blockDim.x)
        u.state.present[u.s.slot[e].owner] = 1;
    for (int e = slot0 + (threadIdx.x >> 5); e < slot1; e += warps) {
        Slot z = u.s.slot[e];
        if (z.owner == net.populations_count || z.via >= 0) continue;
        float g = delivery_grad(u, z);
        if (lane == 0) u.state.pending[z.origin] = g;
    }
    // Spikes of one neuron that were delivered separately but arrive together have one slot each,
    // but they share one adjoint.
    const int *due = address<const int>(u.context, CONTEXT_DUE);
    for (int d = 0; d < (int)u.context[CONTEXT_DUE_COUNT]; ++d) {
        int then = ring_row(u, u.s.pass - CONNECTION(net, due[d], DELAY));
        for (int e = slot0 + (threadIdx.x >> 5); e < slot1; e += warps) {
            Slot z = u.s.slot[e];
            if (z.owner == net.populations_count || z.via != due[d]) continue;
            if (e > slot0 && u.s.slot[e - 1].via == z.via && u.s.slot[e - 1].origin == z.origin)
                continue;
            float g = delivery_grad(u, z);
            if (lane == 0) u.state.delayed[then * net.neurons + z.origin] += g;
        }
        __syncthreads();
    }
    __syncthreads();
    for (int c = 0; c < net.connections_count; ++c)
        if (u.state.present[CONNECTION(net, c, SOURCE)])
            add_outer(u, c, slot0, slot1,
                  u.state.active + POPULATION(net, CONNECTION(net, c, TARGET), START), false);
    __syncthreads();
}

// Visit one pass in reverse.
__device__ inline void unwind_pass(const Unwind &u) {
    open_unwound_pass(u);
    i64 cell = (i64)u.s.k * u.timesteps + u.s.pass;
    const float *peaks = address<const float>(u.context, CONTEXT_PEAKS) + cell * u.net.neurons;
    visit_unevaluated(u, peaks, -1);
    int first = u.s.pass_steps[u.s.pass];
    for (int at = u.s.pass_steps[u.s.pass + 1] - 1; at >= first; --at) {
        visit_sites(u, peaks, at - first, u.s.step_rows[at], u.s.step_rows[at + 1]);
        undo_deliveries(u, u.s.step_slots[at], u.s.step_slots[at + 1]);
        // A step in which nothing was delivered is a late step.
        if (at > first && u.s.step_slots[at] == u.s.step_slots[at + 1])
            visit_unevaluated(u, peaks, at - first);
    }
    end_pass(u);
}
