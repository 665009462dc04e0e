// The state of a sample in the forward pass, its counters, and its event record.

#define REFRACTORY 1
#define REACHED 2

#define DONE 0
#define OVERFLOWED 1
#define STEP_LIMIT 2

// Arrays in shared memory, or in global memory if the network is too large. `CudaRunner`
// computes their size.
struct State {
    u64 *keys;                                                  // [N + E]
    int *list;                                                  // [N + E]
    float *v, *momentum, *current, *peak;                       // [N]
    int *mark, *multiplicity, *arrival, *received, *peak_step;  // [N]
    int *reached, *waiting, *first, *after;                     // [P]
    int *votes, *latest;                                        // [classes]
    int *queued;                                                // [E]
};

__device__ inline State state_at(void *memory, int neurons, int populations, int classes,
                                 int events) {
    State s;
    s.keys = (u64 *)memory;
    s.list = (int *)(s.keys + neurons + events);
    s.v = (float *)(s.list + neurons + events);
    s.momentum = s.v + neurons;
    s.current = s.momentum + neurons;
    s.peak = s.current + neurons;
    s.mark = (int *)(s.peak + neurons);
    s.multiplicity = s.mark + neurons;
    s.arrival = s.multiplicity + neurons;
    s.received = s.arrival + neurons;
    s.peak_step = s.received + neurons;
    s.reached = s.peak_step + neurons;
    s.waiting = s.reached + populations;
    s.first = s.waiting + populations;
    s.after = s.first + populations;
    s.votes = s.after + populations;
    s.latest = s.votes + classes;
    s.queued = s.latest + classes;
    return s;
}

// Data that all samples of a launch share.
struct Launch {
    const i64 *context;
    Network net;
    State state;
    int policy, group_size, max_steps, timesteps, classes, rule, head_votes, head_spikes;
    bool is_queued, keeps, logs;  // `logs`: slots of earlier groups are needed later
    double noise, dropout;
};

// Counters of a sample that gets a decision, and its head, which the host reads. Every thread has a
// copy with the same values, except that `synops` counts what the thread itself has seen.
struct Tally {
    i64 *head;
    i64 spikes, steps, rounds, first_vote;
    u64 synops;
    int top;  // highest number of votes of a class
};

// Position and counters of one sample, and the places of its event record. Every thread has a copy
// with the same values.
struct Sample {
    int k, pass, step, group_number, last_owner;
    int rows, slots, steps, turns, potentials;
    int begin;  // first slot of the current group
    bool is_stopped;
    u64 seed;
    Tally tally;
    float *votes, *spikes;  // of the current pass, if there is no decision
    int *row_neuron, *step_rows, *step_slots, *pass_steps, *pass_turns, *status;
    float *row_potential, *turn_potentials;
    Slot *slot;
    Turn *turn;
};

__device__ inline Launch launch_of(const i64 *context, void *shared) {
    Launch run;
    run.context = context;
    run.net = network_of(context);
    run.classes = (int)context[CONTEXT_CLASSES];
    char *slab = address<char>(context, CONTEXT_STATE);
    void *memory = slab ? slab + context[CONTEXT_STATE_BYTES] * blockIdx.x : shared;
    run.state = state_at(memory, run.net.neurons, run.net.populations_count, run.classes,
                         (int)context[CONTEXT_QUEUED_EVENTS]);
    run.policy = (int)context[CONTEXT_POLICY];
    run.group_size = (int)context[CONTEXT_GROUP_SIZE];
    run.max_steps = (int)context[CONTEXT_MAX_STEPS];
    run.timesteps = (int)context[CONTEXT_TIMESTEPS];
    run.is_queued = context[CONTEXT_QUEUED] != 0;
    run.keeps = !DECIDES && context[CONTEXT_KEEPS] != 0;
    run.logs = run.keeps || context[CONTEXT_DUE_COUNT] != 0;
    run.rule = (int)context[CONTEXT_RULE];
    run.head_votes = (int)context[CONTEXT_HEAD_VOTES];
    run.head_spikes = (int)context[CONTEXT_HEAD_SPIKES];
    run.noise = number(context, CONTEXT_NOISE);
    run.dropout = number(context, CONTEXT_DROPOUT);
    return run;
}

// Point the sample at its part of the record.
__device__ inline void place_record(const i64 *context, Sample &s, int timesteps) {
    i64 k = s.k;
    s.row_neuron = address<int>(context, CONTEXT_ROW_NEURON) + k * context[CONTEXT_ROWS];
    s.row_potential = address<float>(context, CONTEXT_ROW_POTENTIAL) + k * context[CONTEXT_ROWS];
    s.slot = address<Slot>(context, CONTEXT_SLOT) + k * context[CONTEXT_SLOTS];
    s.step_rows = address<int>(context, CONTEXT_STEP_ROWS) + k * context[CONTEXT_STEPS];
    s.step_slots = address<int>(context, CONTEXT_STEP_SLOTS) + k * context[CONTEXT_STEPS];
    s.turn = address<Turn>(context, CONTEXT_TURN) + k * context[CONTEXT_TURNS];
    s.turn_potentials =
        address<float>(context, CONTEXT_TURN_POTENTIALS) + k * context[CONTEXT_POTENTIALS];
    s.pass_steps = address<int>(context, CONTEXT_PASS_STEPS) + k * (timesteps + 1);
    s.pass_turns = address<int>(context, CONTEXT_PASS_TURNS) + k * (timesteps + 1);
    s.status = address<int>(context, CONTEXT_STATUS) + k * STATUS_COLUMNS;
}

// Return whether the record has room for a step with this many slots, in which every neuron may
// fire. If not, the host enlarges the record and runs the batch again. If nothing is logged, the
// step overwrites the group before it.
__device__ inline bool make_room(const Launch &run, Sample &s, int slots) {
    const i64 *context = run.context;
    int n = run.net.neurons;
    if (!run.logs) s.slots = s.steps = 0;
    bool fits = s.slots + slots <= context[CONTEXT_SLOTS];
    if (run.keeps) fits = fits && s.rows + n <= context[CONTEXT_ROWS];
    if (run.logs) fits = fits && s.steps + 2 <= context[CONTEXT_STEPS];
    if (run.policy == POLICY_LAYER_SYNC && run.keeps)
        fits = fits && s.turns + 2 <= context[CONTEXT_TURNS] &&
               s.potentials + n <= context[CONTEXT_POTENTIALS];
    if (!fits && threadIdx.x == 0) {
        s.status[STATUS_CODE] = OVERFLOWED;
        s.status[STATUS_ROWS] = s.rows + n;
        s.status[STATUS_SLOTS] = s.slots + slots;
        s.status[STATUS_STEPS] = s.steps + 2;
        s.status[STATUS_TURNS] = s.turns + 2;
        s.status[STATUS_POTENTIALS] = s.potentials + n;
    }
    return fits;
}

// Return whether the pass may take another step.
__device__ inline bool may_step(const Launch &run, const Sample &s) {
    if (s.step < run.max_steps) return true;
    if (threadIdx.x == 0) {
        s.status[STATUS_CODE] = STEP_LIMIT;
        s.status[STATUS_PASS] = s.pass;
        s.status[STATUS_OWNER] = s.last_owner;
    }
    return false;
}

// Note where the rows and slots of the step that begins start.
__device__ inline void open_step(const Launch &run, Sample &s) {
    if (run.logs && threadIdx.x == 0) {
        s.step_rows[s.steps] = s.rows;
        s.step_slots[s.steps] = s.slots;
    }
    ++s.steps;
    ++s.group_number;
    s.begin = s.slots;
}

// Take a forward step, which delivers this many slots.
__device__ inline void take_step(const Launch &run, Sample &s, int slots) {
    open_step(run, s);
    ++s.step;
    ++s.tally.steps;
    s.tally.rounds += slots / run.group_size + (slots % run.group_size != 0);
}

// Write the slot `at` of the sample.
__device__ inline void write_slot(const Sample &s, int at, int origin, int count, int via,
                                  int owner) {
    Slot slot;
    slot.origin = origin;
    slot.count = count;
    slot.via = via;
    slot.owner = owner;
    s.slot[at] = slot;
}
