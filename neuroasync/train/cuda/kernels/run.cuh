// The kernels that run the forward passes of a batch.

// Write the sample's decision: most votes, then the class that reached them first.
__device__ inline void decide(const Launch &run, const Sample &s) {
    if (threadIdx.x != 0) return;
    const State &state = run.state;
    int best = -1;
    for (int c = 0; c < run.classes; ++c) {
        int n = state.votes[c];
        if (n && (best < 0 || n > state.votes[best] ||
                  (n == state.votes[best] && state.latest[c] < state.latest[best])))
            best = c;
    }
    address<i64>(run.context, CONTEXT_LABELS)[s.k] = best;
}

// Run one sample. On return, its status tells whether it was completed.
__device__ inline void run_sample(const Launch &run, int k) {
    Sample s = {};
    s.k = k;
    s.seed = address<const u64>(run.context, CONTEXT_SEEDS)[k];
    place_record(run.context, s, run.timesteps);
    if (DECIDES) open_head(run, s);
    int passes = address<const int>(run.context, CONTEXT_PASSES)[k];
    for (int c = threadIdx.x; c < run.classes; c += blockDim.x)
        run.state.votes[c] = run.state.latest[c] = 0;
    for (; s.pass < passes && !s.is_stopped; ++s.pass) {
        begin_pass(run, s);
        bool is_complete =
            run.policy == POLICY_LAYER_SYNC ? run_turns(run, s) : run_pass(run, s);
        if (!is_complete) return;
        if (run.logs && threadIdx.x == 0) {  // the ends of the pass, unless another one begins
            s.pass_steps[s.pass + 1] = s.steps;
            s.pass_turns[s.pass + 1] = s.turns;
            s.step_rows[s.steps] = s.rows;
            s.step_slots[s.steps] = s.slots;
        }
        __syncthreads();
    }
    __syncthreads();
    if (DECIDES)
        write_head(run, s, s.pass);
    else
        decide(run, s);
    if (threadIdx.x == 0) {
        s.status[STATUS_CODE] = DONE;
        s.status[STATUS_ROWS] = s.rows;
        s.status[STATUS_SLOTS] = s.slots;
        s.status[STATUS_STEPS] = s.steps;
        s.status[STATUS_TURNS] = s.turns;
        s.status[STATUS_POTENTIALS] = s.potentials;
    }
}

KERNEL FORWARD(const i64 *context) {
    BLOCK_MEMORY(block_memory);
    Launch run = launch_of(context, block_memory);
    int samples = (int)context[CONTEXT_SAMPLES];
    for (int k = blockIdx.x; k < samples; k += gridDim.x) {
        run_sample(run, k);
        __syncthreads();
    }
}
