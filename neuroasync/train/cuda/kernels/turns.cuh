// Forward passes under layer-sync: populations take turns, each evaluated as a whole.

// Add what the group delivers to the currents of its targets.
__device__ inline void add_currents(const Launch &run, Sample &s) {
    find_reached(run, s);
    for (int p = 0; p < run.net.populations_count; ++p) {
        if (!run.state.reached[p]) continue;
        int start = POPULATION(run.net, p, START), stop = POPULATION(run.net, p, STOP);
        for (int i = start + threadIdx.x; i < stop; i += blockDim.x)
            run.state.received[i] += gather(run, s, p, i - start, run.state.current + i);
        if (threadIdx.x == 0) run.state.waiting[p] = 1;
    }
    __syncthreads();
}

// Return the population whose turn is next, or -1. `next` is the place at which to look, and
// `had` the number of places whose populations have had a turn.
__device__ inline int next_turn(const Launch &run, int *next, int *had) {
    while (*next < run.net.populations_count) {
        int at = (*next)++, p = POPULATION(run.net, at, AT_TURN);
        if (at >= *had)
            *had = at + 1;
        else if (!run.state.waiting[p])
            continue;
        return p;
    }
    return -1;
}

// Evaluate population `p`, and write its spikes to the slots; return how many fired.
__device__ inline int take_turn(const Launch &run, Sample &s, int p) {
    const Network &net = run.net;
    const State &state = run.state;
    int start = POPULATION(net, p, START), stop = POPULATION(net, p, STOP), fired = 0;
    int sync = POPULATION(net, p, SYNC_THRESHOLD);
    if (threadIdx.x == 0) state.waiting[p] = 0;
    for (int base = start; base < stop; base += blockDim.x) {
        int i = base + threadIdx.x, rank;
        bool fires = false, refractory = false;
        if (i < stop) {
            float v = state.v[i];
            if (!(state.mark[i] & REFRACTORY)) {
                v = __fadd_rn(state.current[i], v);
                state.v[i] = v;
                fires = state.received[i] >= sync && v > net.thresholds[i];
            }
            state.current[i] = 0.0f;
            if (run.keeps)
                s.turn_potentials[s.potentials + i - start] =
                    state.received[i] < sync ? __int_as_float(0xff800000) : v;
            if (fires) refractory = fire(run, s, p, i, v);
        }
        int total = log_fired(run, s, p, i, fires, refractory, &rank);
        if (fires) write_slot(s, s.slots + fired + rank, i, 1, -1, p);
        fired += total;
    }
    __syncthreads();
    return fired;
}

// Note the turn that begins.
__device__ inline void log_turn(const Launch &run, Sample &s, int p) {
    if (!run.keeps) return;
    if (threadIdx.x == 0) {
        Turn turn;
        turn.population = p;
        turn.step = s.step;
        turn.row = s.rows;
        turn.potentials = s.potentials;
        turn.slot = s.slots;
        s.turn[s.turns] = turn;
    }
    ++s.turns;
}

// Give another turn to populations that the spikes of `p` reached after theirs.
__device__ inline void look_back(const Network &net, int p, int *next) {
    for (int j = POPULATION(net, p, OUT_START); j < POPULATION(net, p, OUT_STOP); ++j) {
        int c = net.links[j];
        if (CONNECTION(net, c, DELAY) != 0) continue;
        int turn = POPULATION(net, CONNECTION(net, c, TARGET), TURN);
        if (turn < *next) *next = turn;
    }
}

// Deliver all queued input as one group, in a step of its own; return whether that was possible.
__device__ inline bool deliver_queued(const Launch &run, Sample &s, int queued) {
    if (queued == 0) return true;
    if (!may_step(run, s) || !make_room(run, s, queued)) return false;
    take_step(run, s, queued);
    i64 cell = (i64)s.k * run.timesteps + s.pass;
    const int *origins = address<const int>(run.context, CONTEXT_INPUT_ORIGIN) +
                         address<const int>(run.context, CONTEXT_INPUT_STARTS)[cell];
    for (int e = threadIdx.x; e < queued; e += blockDim.x)
        write_slot(s, s.slots + e, origins[e], 1, -1, run.net.populations_count);
    __syncthreads();
    s.slots += queued;
    add_currents(run, s);
    return true;
}

// Run one pass under layer-sync, or the part before the sample is stopped; return whether it could
// be completed.
__device__ inline bool run_turns(const Launch &run, Sample &s) {
    int next = 0, had = 0, queued = read_input(run, s);
    if (queued < 0) return false;
    add_currents(run, s);
    if (queued && (s.is_stopped = should_stop(run, s))) return true;
    if (!deliver_queued(run, s, queued)) return false;
    while (true) {
        int p = next_turn(run, &next, &had);
        if (p < 0) s.is_stopped = should_stop(run, s);
        if (p < 0) return true;
        __syncthreads();  // all threads have read `waiting`
        if (!make_room(run, s, run.net.neurons)) return false;
        log_turn(run, s, p);
        int fired = take_turn(run, s, p);
        if (run.keeps) s.potentials += size_of(run.net, p);
        if ((s.is_stopped = should_stop(run, s))) return true;
        if (fired == 0) continue;
        if (!may_step(run, s)) return false;
        take_step(run, s, fired);
        s.slots += fired;
        add_currents(run, s);
        look_back(run.net, p, &next);
    }
}
