// The backward pass under layer-sync: backpropagation through time.

// Visit one turn in reverse. Its spikes are the rows from `turn.row` to `row_end`.
__device__ inline void unwind_turn(const Unwind &u, const Turn &turn, int row_end) {
    const Network &net = u.net;
    const Unwinding &state = u.state;
    int p = turn.population, here = ring_row(u, u.s.pass), start = POPULATION(net, p, START);
    float *current_grad = state.site_grad + here * net.neurons;
    for (int r = turn.row + threadIdx.x; r < row_end; r += blockDim.x) {
        int i = u.s.row_neuron[r] >> 1;
        state.refractory[i] = 0;  // until it fired
        if (!POPULATION(net, p, SUBTRACTS)) state.v[i] = 0.0f;
    }
    __syncthreads();
    write_spike_grads(u, p, state.refractory, 0);
    for (int j = POPULATION(net, p, OUT_START); j < POPULATION(net, p, OUT_STOP); ++j) {
        int c = net.links[j], q = CONNECTION(net, c, TARGET);
        int there = ring_row(u, u.s.pass + CONNECTION(net, c, DELAY));
        if (state.has_site[there * net.populations_count + q])
            add_outer(u, c, turn.slot, turn.slot + row_end - turn.row,
                      state.site_grad + there * net.neurons + POPULATION(net, q, START), true);
    }
    __syncthreads();
    const float *potentials = u.s.turn_potentials + turn.potentials;
    for (int i = start + threadIdx.x; i < POPULATION(net, p, STOP); i += blockDim.x) {
        float x = potentials[i - start] - net.thresholds[i];
        if (!state.refractory[i]) state.v[i] += state.spike_grad[i] * surrogate_derivative(u, x);
        current_grad[i] = state.refractory[i] ? 0.0f : state.v[i];
    }
    if (threadIdx.x == 0) state.has_site[here * net.populations_count + p] = 1;
    __syncthreads();
}

// Add the gradients of the weights over which input events arrived, before the first turn.
__device__ inline void add_input(const Unwind &u, int slot0, int slot1) {
    const Network &net = u.net;
    const float *current_grad = u.state.site_grad + ring_row(u, u.s.pass) * net.neurons;
    for (int c = 0; c < net.connections_count; ++c)
        if (CONNECTION(net, c, SOURCE) == net.populations_count)
            add_outer(u, c, slot0, slot1,
                      current_grad + POPULATION(net, CONNECTION(net, c, TARGET), START), false);
}

// Visit one pass under layer-sync in reverse.
__device__ inline void unwind_turns(const Unwind &u) {
    const Network &net = u.net;
    const Unwinding &state = u.state;
    const Sample &s = u.s;
    int here = ring_row(u, s.pass), step0 = s.pass_steps[s.pass], step1 = s.pass_steps[s.pass + 1];
    int row_end = s.step_rows[step1];
    for (int i = threadIdx.x; i < net.neurons; i += blockDim.x) {
        state.site_grad[here * net.neurons + i] = 0.0f;
        state.refractory[i] = 0;
    }
    for (int p = threadIdx.x; p < net.populations_count; p += blockDim.x)
        state.has_site[here * net.populations_count + p] = 0;
    __syncthreads();
    for (int r = s.step_rows[step0] + threadIdx.x; r < row_end; r += blockDim.x)
        if (s.row_neuron[r] & 1) state.refractory[s.row_neuron[r] >> 1] = 1;
    __syncthreads();
    for (int t = s.pass_turns[s.pass + 1] - 1; t >= s.pass_turns[s.pass]; --t) {
        unwind_turn(u, s.turn[t], row_end);
        row_end = s.turn[t].row;
    }
    add_input(u, s.step_slots[step0], s.step_slots[step1]);
    end_pass(u);
}
