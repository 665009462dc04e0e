// Input of a pass, delivery of groups, and integrate-and-fire.

// Slots that a thread reads together.
#define AT_ONCE 4

// Begin a pass: decay, biases, and everything that is counted per pass.
__device__ inline void begin_pass(const Launch &run, Sample &s) {
    const Network &net = run.net;
    const State &state = run.state;
    const float *factors = address<const float>(run.context, CONTEXT_DECAYS);
    i64 cell = (i64)s.k * run.timesteps + s.pass;
    factors += (i64)address<const int>(run.context, CONTEXT_DECAY_OF)[cell] * net.neurons;
    for (int i = threadIdx.x; i < net.neurons; i += blockDim.x) {
        int p = net.owner[i];
        float v = s.pass ? __fmul_rn(state.v[i], factors[i]) : 0.0f;
        if (POPULATION(net, p, HAS_BIAS))
            for (int c = 0; c < net.connections_count; ++c) {
                int bias = CONNECTION(net, c, BIAS);
                if (bias >= 0 && CONNECTION(net, c, TARGET) == p)
                    v = __fadd_rn(v, net.weights[bias + i - POPULATION(net, p, START)]);
            }
        state.v[i] = state.peak[i] = v;
        state.peak_step[i] = -1;
        state.mark[i] = state.received[i] = state.multiplicity[i] = 0;
        state.current[i] = 0.0f;
    }
    for (int p = threadIdx.x; p < net.populations_count; p += blockDim.x) {
        state.first[p] = state.after[p] = -1;
        state.waiting[p] = 0;
    }
    s.step = 0;
    s.last_owner = -1;
    s.votes = address<float>(run.context, CONTEXT_VOTES) + cell * run.classes;
    s.spikes = address<float>(run.context, CONTEXT_SPIKES) + cell * net.populations_count;
    if (run.logs && threadIdx.x == 0) {
        s.pass_steps[s.pass] = s.steps;
        s.pass_turns[s.pass] = s.turns;
    }
}

// The slots that earlier passes put in flight over connection `c` and that are due now.
struct Flight {
    int begin, end, owner;
};

__device__ inline Flight flight_of(const Launch &run, const Sample &s, int c) {
    int then = s.pass - CONNECTION(run.net, c, DELAY);
    Flight f = {0, 0, CONNECTION(run.net, c, SOURCE)};
    if (then >= 0) {
        f.begin = s.step_slots[s.pass_steps[then]];
        f.end = s.step_slots[s.pass_steps[then + 1]];
    }
    return f;
}

// Append the spikes whose delay ends now to the group: by (time fired, connection, neuron).
__device__ inline void append_due(const Launch &run, Sample &s) {
    __shared__ int due;
    const int *order = address<const int>(run.context, CONTEXT_DUE);
    for (int d = 0; d < (int)run.context[CONTEXT_DUE_COUNT]; ++d) {
        Flight f = flight_of(run, s, order[d]);
        if (f.begin == f.end) continue;
        __syncthreads();
        if (threadIdx.x == 0) due = 0;
        __syncthreads();
        for (int e = f.begin + threadIdx.x; e < f.end; e += blockDim.x) {
            Slot mine = s.slot[e];
            if (mine.via >= 0 || mine.owner != f.owner) continue;
            int rank = 0;
            for (int o = f.begin; o < f.end; ++o) {
                Slot other = s.slot[o];
                rank += other.via < 0 && other.owner == f.owner &&
                        (other.origin < mine.origin || (other.origin == mine.origin && o < e));
            }
            write_slot(s, s.slots + rank, mine.origin, mine.count, order[d], mine.owner);
            atomicAdd(&due, 1);
        }
        __syncthreads();
        s.slots += due;
    }
}

// Write the input group of a pass; queued input becomes pending instead. Return the number of
// queued events, or -1 if the record has no room.
__device__ inline int read_input(const Launch &run, Sample &s) {
    const int *starts = address<const int>(run.context, CONTEXT_INPUT_STARTS);
    i64 cell = (i64)s.k * run.timesteps + s.pass;
    int first = starts[cell], n = starts[cell + 1] - first, due = 0;
    const int *order = address<const int>(run.context, CONTEXT_DUE);
    __syncthreads();
    for (int d = 0; d < (int)run.context[CONTEXT_DUE_COUNT]; ++d) {
        Flight f = flight_of(run, s, order[d]);
        due += f.end - f.begin;
    }
    if (!make_room(run, s, due + n)) return -1;
    open_step(run, s);
    const int *origins = address<const int>(run.context, CONTEXT_INPUT_ORIGIN) + first;
    const int *counts = address<const int>(run.context, CONTEXT_INPUT_COUNT) + first;
    for (int e = threadIdx.x; e < n; e += blockDim.x) {
        if (run.is_queued)
            run.state.queued[e] = 1;
        else
            write_slot(s, s.slots + e, origins[e], counts[e], -1, run.net.populations_count);
    }
    if (!run.is_queued) s.slots += n;
    append_due(run, s);
    __syncthreads();
    return run.is_queued ? n : 0;
}

// Find the populations to which the group has a connection, and count its synaptic operations.
__device__ inline void find_reached(const Launch &run, Sample &s) {
    const Network &net = run.net;
    for (int p = threadIdx.x; p < net.populations_count; p += blockDim.x) run.state.reached[p] = 0;
    __syncthreads();
    for (int e = s.begin + threadIdx.x; e < s.slots; e += blockDim.x) {
        Slot z = s.slot[e];
        int source = z.origin - POPULATION(net, z.owner, START);
        for (int j = POPULATION(net, z.owner, OUT_START); j < POPULATION(net, z.owner, OUT_STOP);
             ++j) {
            int c = net.links[j];
            if (!takes_part(net, c, z.via)) continue;
            run.state.reached[CONNECTION(net, c, TARGET)] = 1;
            if (DECIDES) s.tally.synops += (u64)targets_of(net, c, source) * z.count;
        }
    }
    __syncthreads();
}

// Return the place of the weight by which a slot reaches a neuron of `p`, -1 if it does not, or
// `SEVERAL` if it does over several connections.
__device__ inline int route(const Network &net, const Slot &z, int p, int target) {
    int c = net.routes[z.owner * net.populations_count + p];
    if (z.via >= 0) c = CONNECTION(net, z.via, TARGET) == p ? z.via : -1;
    return c < 0 ? c : synapse(net, c, z.origin - POPULATION(net, z.owner, START), target);
}

// Add what a slot delivers to a neuron of `p` over several connections, in declared order.
__device__ __noinline__ int add_several(const Network &net, const Slot &z, int p, int target,
                                  float *current) {
    int source = z.origin - POPULATION(net, z.owner, START), spikes = 0;
    for (int j = POPULATION(net, z.owner, OUT_START); j < POPULATION(net, z.owner, OUT_STOP); ++j) {
        int c = net.links[j];
        if (CONNECTION(net, c, TARGET) != p || !takes_part(net, c, z.via)) continue;
        int w = synapse(net, c, source, target);
        if (w < 0) continue;
        *current = __fadd_rn(*current, __fmul_rn(net.weights[w], (float)z.count));
        spikes += z.count;
    }
    return spikes;
}

// Add what the group delivers to a neuron of `p` to `sum`, in slot order; return the number of
// spikes. The weights of several slots are loaded before the first is added, because a thread would
// otherwise wait for each of them.
__device__ inline int gather(const Launch &run, const Sample &s, int p, int target, float *sum) {
    const Network &net = run.net;
    float current = *sum;
    int spikes = 0;
    for (int first = s.begin; first < s.slots; first += AT_ONCE) {
        int place[AT_ONCE], count[AT_ONCE];
        float weight[AT_ONCE];
#pragma unroll
        for (int u = 0; u < AT_ONCE; ++u) {
            Slot z = s.slot[min(first + u, s.slots - 1)];
            place[u] = first + u < s.slots ? route(net, z, p, target) : -1;
            count[u] = z.count;
            weight[u] = place[u] >= 0 ? net.weights[place[u]] : 0.0f;
        }
#pragma unroll
        for (int u = 0; u < AT_ONCE; ++u) {
            if (place[u] >= 0) {
                current = __fadd_rn(current, __fmul_rn(weight[u], (float)count[u]));
                spikes += count[u];
            } else if (place[u] == SEVERAL)
                spikes += add_several(net, s.slot[first + u], p, target, &current);
        }
    }
    *sum = current;
    return spikes;
}

// Reset a neuron of `p` that fires, count its vote, and return whether it became refractory.
__device__ inline bool fire(const Launch &run, const Sample &s, int p, int i, float v) {
    const Network &net = run.net;
    const State &state = run.state;
    state.momentum[i] = v;
    state.v[i] = POPULATION(net, p, SUBTRACTS) ? __fsub_rn(v, net.thresholds[i]) : 0.0f;
    bool refractory = POPULATION(net, p, REFRACTORY) != 0;
    if (refractory && run.dropout > 0.0) {
        u64 prefix = step_prefix(s.seed ^ DROPOUT_STREAM, s.pass, s.step);
        refractory = !(uniform(neuron_key(prefix, i)) < run.dropout);
    }
    if (refractory) state.mark[i] |= REFRACTORY;
    if (p == net.output) {
        int at = i - POPULATION(net, p, START);
        ++state.votes[at];
        state.latest[at] = s.group_number;
        if (!DECIDES) s.votes[at] += 1.0f;
    }
    return refractory;
}

// Log the spikes of a chunk of neurons, ascending; return how many fired.
__device__ inline int log_fired(const Launch &run, Sample &s, int p, int i, bool fires,
                                bool refractory, int *rank) {
    int total;
    *rank = ranked(fires, &total);
    if (fires && run.keeps) {
        s.row_neuron[s.rows + *rank] = 2 * i + refractory;
        s.row_potential[s.rows + *rank] = run.state.momentum[i];
    }
    if (run.keeps) s.rows += total;
    if (total) s.last_owner = p;
    if (DECIDES)
        count_spikes(run, s, p, i, fires, *rank, total);
    else if (threadIdx.x == 0)
        s.spikes[p] += (float)total;
    return total;
}
