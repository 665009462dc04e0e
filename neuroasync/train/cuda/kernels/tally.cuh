// What the decision on a sample states beside its votes: counters, and when classes first led. The
// host makes the decision from the head of the sample, as `neuroasync.core.engine.decision` does.
// Stop rules: see `neuroasync.core.kernels.voting`.

#define VOTES_OF(run, s, row) ((s).tally.head + (run).head_votes + VOTES_##row * (run).classes)

__device__ inline void open_head(const Launch &run, Sample &s) {
    i64 words = run.context[CONTEXT_HEAD_WORDS];
    s.tally.head = address<i64>(run.context, CONTEXT_HEADS) + s.k * words;
    s.tally.first_vote = -1;
}

// Return the number of targets of `source` over connection `c`.
__device__ inline int targets_of(const Network &net, int c, int source) {
    if (CONNECTION(net, c, KIND) == KIND_DENSE) return size_of(net, CONNECTION(net, c, TARGET));
    if (CONNECTION(net, c, KIND) == KIND_SPARSE) {
        const int *indptr = net.links + CONNECTION(net, c, INDPTR) + source;
        return indptr[1] - indptr[0];
    }
    Convolution f = convolution_of(net, c);
    int place = source % (f.height_in * f.width_in);
    int y = place / f.width_in + f.padding_y, x = place % f.width_in + f.padding_x;
    int first_y = max(0, (y - f.kernel_y + f.stride_y) / f.stride_y);
    int first_x = max(0, (x - f.kernel_x + f.stride_x) / f.stride_x);
    int rows = min(f.height_out - 1, y / f.stride_y) - first_y + 1;
    int columns = min(f.width_out - 1, x / f.stride_x) - first_x + 1;
    return f.channels_out * max(0, rows) * max(0, columns);
}

// Count the spikes that a chunk of neurons of `p` fired, and note which class first leads. `rank`
// is the place of neuron `i` among them if it fires.
__device__ inline void count_spikes(const Launch &run, Sample &s, int p, int i, bool fires,
                                    int rank, int total) {
    Tally &tally = s.tally;
    if (p == run.net.output && total) {
        // No neuron fires twice in a step, so only the first class with a new highest count leads.
        int at = i - POPULATION(run.net, p, START), leaders;
        bool leads = fires && run.state.votes[at] > tally.top;
        int place = ranked(leads, &leaders);
        if (leads && place == 0 && VOTES_OF(run, s, LED_SPIKES)[at] == 0) {
            VOTES_OF(run, s, LED_SPIKES)[at] = tally.spikes + rank + 1;
            VOTES_OF(run, s, LED_STEPS)[at] = tally.steps;
            VOTES_OF(run, s, LED_ROUNDS)[at] = tally.rounds;
        }
        tally.top += leaders > 0;
        if (tally.first_vote < 0) tally.first_vote = tally.steps;
    }
    tally.spikes += total;
    if (threadIdx.x == 0) tally.head[run.head_spikes + p] += total;
}

// Return whether the stop rule ends the sample now.
__device__ inline bool should_stop(const Launch &run, const Sample &s) {
    if (!DECIDES || run.rule == RULE_QUIET || s.tally.first_vote < 0) return false;
    const i64 *arguments = address<const i64>(run.context, CONTEXT_RULE_ARGUMENTS);
    if (run.rule == RULE_STEPS) return s.tally.steps - s.tally.first_vote >= arguments[0];
    int first = 0, second = 0;
    for (int c = 0; c < run.classes; ++c) {
        int count = run.state.votes[c];
        if (count > first) {
            second = first;
            first = count;
        } else if (count > second)
            second = count;
    }
    if (run.rule == RULE_VOTES) return first >= arguments[0];
    i64 last = run.context[CONTEXT_RULE_ARGUMENT_COUNT] - 1;
    i64 lead = arguments[s.pass < last ? s.pass : last];
    return lead > 0 && first - second >= lead;
}

// Return how many of this thread's share of the spikes in flight have not arrived.
__device__ inline u64 undelivered(const Launch &run, const Sample &s, int passes) {
    const int *order = address<const int>(run.context, CONTEXT_DUE);
    u64 left = 0;
    for (int d = 0; d < (int)run.context[CONTEXT_DUE_COUNT]; ++d) {
        int owner = CONNECTION(run.net, order[d], SOURCE);
        int from = max(0, passes - CONNECTION(run.net, order[d], DELAY));
        int begin = from < passes ? s.step_slots[s.pass_steps[from]] : s.slots;
        for (int e = begin + threadIdx.x; e < s.slots; e += blockDim.x)
            left += s.slot[e].via < 0 && s.slot[e].owner == owner;
    }
    return left;
}

// Complete the head of a sample that had `passes` passes.
__device__ inline void write_head(const Launch &run, const Sample &s, int passes) {
    const Tally &tally = s.tally;
    for (int c = threadIdx.x; c < run.classes; c += blockDim.x) {
        VOTES_OF(run, s, COUNT)[c] = run.state.votes[c];
        VOTES_OF(run, s, LATEST)[c] = run.state.latest[c];
    }
    atomicAdd((u64 *)tally.head + CONTROL_SYNOPS, tally.synops);
    atomicAdd((u64 *)tally.head + CONTROL_IN_FLIGHT, undelivered(run, s, passes));
    if (threadIdx.x != 0) return;
    tally.head[CONTROL_PASS] = passes - 1;
    tally.head[CONTROL_STEPS] = tally.steps;
    tally.head[CONTROL_ROUNDS] = tally.rounds;
    tally.head[CONTROL_SPIKES] = tally.spikes;
    if (s.is_stopped) tally.head[CONTROL_PHASE] = PHASE_STOPPED;
}
