// Forward passes under the policies random, momentum and fifo: one block runs one sample.

// Let a neuron of `p` integrate what the group delivers; return whether it fires. In a late step,
// neurons that nothing reached are evaluated without any current.
__device__ inline bool integrate(const Launch &run, const Sample &s, int p, int i, bool is_late,
                                 bool *refractory) {
    const Network &net = run.net;
    const State &state = run.state;
    float v = 0.0f, threshold = net.thresholds[i];
    if (is_late) {
        if ((state.mark[i] & REACHED) || !(state.v[i] > threshold)) return false;
    } else {
        int spikes = gather(run, s, p, i - POPULATION(net, p, START), &v);
        if (spikes == 0) return false;
        state.received[i] += spikes;
    }
    state.mark[i] |= REACHED;
    if (state.mark[i] & REFRACTORY) return false;
    v = __fadd_rn(v, state.v[i]);
    state.v[i] = v;
    if (state.received[i] < POPULATION(net, p, SYNC_THRESHOLD)) return false;
    if (v > threshold) {
        *refractory = fire(run, s, p, i, v);
        if (state.multiplicity[i]++ == 0) state.arrival[i] = s.step;
        state.peak_step[i] = -2;
        return true;
    }
    if (state.peak_step[i] == -1 || (state.peak_step[i] >= 0 && v > state.peak[i])) {
        state.peak[i] = v;
        state.peak_step[i] = s.step;
    }
    return false;
}

__device__ inline void integrate_population(const Launch &run, Sample &s, int p, bool is_late) {
    int stop = POPULATION(run.net, p, STOP), rank;
    for (int base = POPULATION(run.net, p, START); base < stop; base += blockDim.x) {
        int i = base + threadIdx.x;
        bool refractory = false;
        bool fires = i < stop && integrate(run, s, p, i, is_late, &refractory);
        log_fired(run, s, p, i, fires, refractory, &rank);
    }
}

// Deliver the group; every population that it reaches integrates.
__device__ inline void deliver(const Launch &run, Sample &s) {
    find_reached(run, s);
    for (int p = 0; p < run.net.populations_count; ++p) {
        if (!run.state.reached[p]) continue;
        if (threadIdx.x == 0 && run.state.first[p] < 0) run.state.first[p] = s.step;
        integrate_population(run, s, p, false);
    }
    __syncthreads();
}

// Return a key for a potential: greater potentials have smaller keys.
__device__ inline u64 descending(double m) {
    u64 bits = (u64)__double_as_longlong(__dadd_rn(m, 0.0));
    u64 ascending = bits >> 63 ? ~bits : bits | 1ull << 63;
    return ~ascending;
}

// Return the key by which a pending spike is ordered.
__device__ inline u64 order_key(const Launch &run, u64 prefix, int neuron) {
    bool is_input = neuron >= run.net.neurons;
    if (run.policy == POLICY_FIFO) return is_input ? 0 : (u64)run.state.arrival[neuron] + 1;
    if (run.policy == POLICY_RANDOM) return neuron_key(prefix, neuron);
    double m = is_input ? 0.0 : (double)run.state.momentum[neuron];
    if (run.noise != 0.0)
        m = __dadd_rn(m, __dmul_rn(run.noise, uniform(neuron_key(prefix, neuron))));
    return descending(m);
}

// List the pending spikes with their keys, in any order; return their number.
__device__ inline int list_pending(const Launch &run, const Sample &s, int queued) {
    __shared__ int count;
    const State &state = run.state;
    int n = run.net.neurons;
    u64 prefix = step_prefix(s.seed, s.pass, s.step + 1);
    if (threadIdx.x == 0) count = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < n + queued; i += blockDim.x)
        if (i < n ? state.multiplicity[i] : state.queued[i - n]) {
            int at = atomicAdd(&count, 1);
            state.list[at] = i;
            state.keys[at] = order_key(run, prefix, i);
        }
    __syncthreads();
    return count;
}

// Move the first `count` of the `n` listed spikes to the group, in their order.
__device__ inline void move_to_group(const Launch &run, const Sample &s, int n, int count) {
    const State &state = run.state;
    int neurons = run.net.neurons;
    i64 cell = (i64)s.k * run.timesteps + s.pass;
    const int *origins = address<const int>(run.context, CONTEXT_INPUT_ORIGIN) +
                         address<const int>(run.context, CONTEXT_INPUT_STARTS)[cell];
    for (int at = threadIdx.x; at < n; at += blockDim.x) {
        u64 key = state.keys[at];
        int i = state.list[at], rank = 0;
        for (int o = 0; o < n && rank < count; ++o)
            rank += state.keys[o] < key || (state.keys[o] == key && state.list[o] < i);
        if (rank >= count) continue;
        if (i < neurons) {
            write_slot(s, s.slots + rank, i, state.multiplicity[i], -1, run.net.owner[i]);
            state.multiplicity[i] = 0;
        } else {
            write_slot(s, s.slots + rank, origins[i - neurons], 1, -1, run.net.populations_count);
            state.queued[i - neurons] = 0;
        }
    }
    __syncthreads();
}

// Return the population that fires late next, or -1.
__device__ inline int late_population(const Launch &run) {
    __shared__ int lowest;
    const Network &net = run.net;
    if (threadIdx.x == 0) lowest = net.populations_count;
    __syncthreads();
    for (int i = threadIdx.x; i < net.neurons; i += blockDim.x) {
        int p = net.owner[i];
        if (POPULATION(net, p, FIRES_SPONTANEOUSLY) && !(run.state.mark[i] & REACHED) &&
            run.state.v[i] > net.thresholds[i])
            atomicMin(&lowest, POPULATION(net, p, TURN));
    }
    __syncthreads();
    int turn = lowest;
    __syncthreads();
    return turn < net.populations_count ? POPULATION(net, turn, AT_TURN) : -1;
}

// Take the late step of population `p`.
__device__ inline void fire_late(const Launch &run, Sample &s, int p) {
    if (threadIdx.x == 0) {
        if (run.state.first[p] < 0) run.state.first[p] = s.step;
        for (int turn = 0; turn < POPULATION(run.net, p, TURN); ++turn) {
            int before = POPULATION(run.net, turn, AT_TURN);
            if (run.state.after[before] < 0) run.state.after[before] = s.step;
        }
    }
    integrate_population(run, s, p, true);
    __syncthreads();
}

// Keep the potentials and sites of the pass for the backward pass.
__device__ inline void keep_peaks(const Launch &run, const Sample &s) {
    const Network &net = run.net;
    i64 cell = (i64)s.k * run.timesteps + s.pass;
    float *peaks = address<float>(run.context, CONTEXT_PEAKS) + cell * net.neurons;
    int *steps = address<int>(run.context, CONTEXT_PEAK_STEPS) + cell * net.neurons;
    for (int i = threadIdx.x; i < net.neurons; i += blockDim.x) {
        peaks[i] = run.state.peak[i];
        steps[i] = run.state.peak_step[i];
    }
    int *first = address<int>(run.context, CONTEXT_FIRST) + cell * net.populations_count;
    int *after = address<int>(run.context, CONTEXT_AFTER) + cell * net.populations_count;
    for (int p = threadIdx.x; p < net.populations_count; p += blockDim.x) {
        first[p] = run.state.first[p];
        after[p] = run.state.after[p];
    }
}

// Run one pass, or the part before the sample is stopped; return whether it could be completed.
__device__ inline bool run_pass(const Launch &run, Sample &s) {
    int queued = read_input(run, s);
    if (queued < 0) return false;
    deliver(run, s);
    while (!(s.is_stopped = should_stop(run, s))) {
        int n = list_pending(run, s, queued), late = -1;
        int count = n < run.group_size ? n : run.group_size;
        if (n == 0) {
            late = late_population(run);
            if (late < 0) break;
        }
        if (!may_step(run, s) || !make_room(run, s, count)) return false;
        take_step(run, s, count);
        if (n == 0) {
            fire_late(run, s, late);
            continue;
        }
        move_to_group(run, s, n, count);
        s.slots += count;
        deliver(run, s);
    }
    if (run.keeps) keep_peaks(run, s);
    return true;
}
