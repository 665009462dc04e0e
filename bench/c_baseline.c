/* The C baseline: a forward pass for plain stacks of dense layers.
 *
 * It has the semantics of neuroasync, to the bit: layer-sync, random, momentum (no noise) and fifo
 * order, any group size, prioritised input, reset to zero or by subtraction, refractory neurons,
 * turns (layer-sync) or late firing (else), votes. No biases, delays, skips or recurrence. The loop
 * allocates nothing.
 *
 * c_vectorised.c includes this file: it shares all but the functions in `Loop`.
 *
 * Neurons of a layer are padded to a multiple of LANES; the padding has weight 0 and never fires.
 * Compile without contraction to fused multiply-add: sums must be those of float32, in slot order.
 */
#include <stdint.h>
#include <string.h>

#define LANES 16
#define SMALL 16 /* up to this many spikes are selected by insertion, more by a heap */
typedef float f32v __attribute__((vector_size(4 * LANES)));
typedef int32_t i32v __attribute__((vector_size(4 * LANES)));

enum { LAYER_SYNC, RANDOM, MOMENTUM, FIFO };
enum { STEPS, ROUNDS, SYNOPS, SPIKES, DELIVERED, LABEL, COUNTERS };

typedef struct {
    int64_t layers, inputs, timestep_us, policy, group_size, subtract;
    const int64_t *size;    /* [layers], neurons */
    const int64_t *start;   /* [layers], network-wide index of the first */
    const int64_t *stride;  /* [layers], neurons with padding */
    const int64_t *offset;  /* [layers], where a layer begins in padded arrays */
    const float *const *weight; /* [layers], rows of stride[l], one a source */
    const float *decay, *threshold; /* [layers] */
    float *v, *momentum, *current;  /* padded state */
    int32_t *refractory;            /* padded state: -1 or 0, a mask */
    int32_t *neuron, *layer;        /* [N], the pending set: index in the layer, layer */
    uint64_t *key;                  /* [N] */
    int32_t *chosen;                /* [N], positions in it */
    int32_t *group, *group_layer;   /* [inputs + N], what is delivered */
    float *times;                   /* [inputs], multiplicity of an input */
    uint64_t *present;              /* [inputs / 64 + 1], its bits */
    int32_t *arrived, *reached;     /* [layers], by this group; in this pass */
    int64_t *votes, *latest;        /* [classes] */
    int32_t *rows, *slots;          /* [capacity, 3] of (pass, step, neuron): fired, delivered */
    int64_t capacity;
} Net;

static const uint64_t G = 0x9E3779B97F4A7C15u;

static inline uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Add rows of weights to the current of layer l, in slot order; sums stay in registers. */
static void gather(Net *n, int64_t l, int64_t slots, const float *times) {
    const int64_t stride = n->stride[l];
    float *current = n->current + n->offset[l];
    for (int64_t at = 0; at < stride; at += 4 * LANES) {
        const int64_t wide = stride - at < 4 * LANES ? (stride - at) / LANES : 4;
        f32v sum[4] = {0};
        for (int64_t s = 0; s < slots; s++) {
            if (n->group_layer[s] != l - 1) continue;
            const f32v *row = (const f32v *)(n->weight[l] + n->group[s] * stride + at);
            const float count = times ? times[n->group[s]] : 1.0f;
            if (wide == 4 && count == 1.0f) {
                sum[0] += row[0], sum[1] += row[1], sum[2] += row[2], sum[3] += row[3];
            } else {
                for (int64_t i = 0; i < wide; i++) sum[i] += row[i] * count;
            }
        }
        memcpy(current + at, sum, wide * sizeof(f32v));
    }
}

static inline void admit(Net *n, int64_t l, int32_t i, int32_t pass, int32_t step, int64_t serial,
                         int64_t *pending, int64_t *counters) {
    const int64_t at = (*pending)++;
    n->neuron[at] = i;
    n->layer[at] = (int32_t)l;
    if (counters[SPIKES] < n->capacity) {
        int32_t *row = n->rows + 3 * counters[SPIKES];
        row[0] = pass, row[1] = step, row[2] = (int32_t)n->start[l] + i;
    }
    counters[SPIKES]++;
    if (l == n->layers - 1) n->votes[i]++, n->latest[i] = serial;
}

static inline uint32_t bits_of_lanes(i32v lanes) {
    uint32_t bits = 0;
    for (int i = 0; i < LANES; i++) bits |= ((uint32_t)lanes[i] & 1u) << i;
    return bits;
}

/* Integrate the current of layer l, or with late its potential alone, and fire. With skip, lanes in
 * which no neuron fires write only their potentials. */
static inline void fire_with(uint32_t (*bits_of)(i32v), int skip, Net *n, int64_t l, int late,
                             int32_t pass, int32_t step, int64_t serial, int64_t *pending,
                             int64_t *counters) {
    const f32v threshold = n->threshold[l] - (f32v){0};
    const i32v subtract = (i32v){0} - (int32_t)n->subtract;
    for (int64_t at = 0; at < n->stride[l]; at += LANES) {
        f32v *v = (f32v *)(n->v + n->offset[l] + at);
        f32v *m = (f32v *)(n->momentum + n->offset[l] + at);
        i32v *refractory = (i32v *)(n->refractory + n->offset[l] + at);
        const i32v locked = *refractory;
        const f32v charge = late ? *v : *(f32v *)(n->current + n->offset[l] + at) + *v;
        const i32v fires = (charge > threshold) & ~locked;
        const i32v after = fires & subtract & (i32v)(charge - threshold);
        *v = (f32v)((locked & (i32v)*v) | (~locked & ~fires & (i32v)charge) | after);
        uint32_t bits = bits_of(fires);
        if (skip && !bits) continue;
        *m = (f32v)((fires & (i32v)charge) | (~fires & (i32v)*m));
        *refractory = locked | fires;
        for (; bits; bits &= bits - 1)
            admit(n, l, (int32_t)at + __builtin_ctz(bits), pass, step, serial, pending, counters);
    }
}

static void fire(Net *n, int64_t l, int late, int32_t pass, int32_t step, int64_t serial,
                 int64_t *pending, int64_t *counters) {
    fire_with(bits_of_lanes, 0, n, l, late, pass, step, serial, pending, counters);
}

static inline int less(const Net *n, int32_t a, int32_t b) {
    if (n->key[a] != n->key[b]) return n->key[a] < n->key[b];
    if (n->layer[a] != n->layer[b]) return n->layer[a] < n->layer[b];
    return n->neuron[a] < n->neuron[b];
}

static void sift_down(const Net *n, int32_t *heap, int64_t size, int64_t at) {
    for (;;) {
        int64_t largest = at;
        for (int64_t child = 2 * at + 1; child <= 2 * at + 2 && child < size; child++)
            if (less(n, heap[largest], heap[child])) largest = child;
        if (largest == at) return;
        int32_t kept = heap[at];
        heap[at] = heap[largest], heap[largest] = kept, at = largest;
    }
}

/* Positions of the k smallest of the pending spikes, ascending. */
static void smallest(Net *n, int64_t pending, int64_t k) {
    int32_t *best = n->chosen;
    if (k <= SMALL) {
        for (int32_t i = 0, have = 0; i < pending; i++) {
            if (have == k && !less(n, i, best[k - 1])) continue;
            int at = have < k ? have++ : (int)k - 1;
            for (; at > 0 && less(n, i, best[at - 1]); at--) best[at] = best[at - 1];
            best[at] = i;
        }
        return;
    }
    for (int32_t i = 0; i < k; i++) best[i] = i;
    for (int64_t at = k / 2 - 1; at >= 0; at--) sift_down(n, best, k, at);
    for (int32_t i = (int32_t)k; i < pending; i++)
        if (less(n, i, best[0])) best[0] = i, sift_down(n, best, k, 0);
    for (int64_t end = k - 1; end > 0; end--) {
        int32_t kept = best[0];
        best[0] = best[end], best[end] = kept;
        sift_down(n, best, end, 0);
    }
}

/* Move the spikes that go next from the pending set to the group; return how many. */
static int64_t choose(Net *n, uint64_t seed_key, int32_t step, int64_t *pending) {
    const int64_t all = *pending;
    int64_t k = all < n->group_size ? all : n->group_size;
    if (n->policy == LAYER_SYNC) k = all; /* the spikes of one turn */
    if (n->policy == LAYER_SYNC || n->policy == FIFO) { /* the pending set is in the order of arrival */
        memcpy(n->group, n->neuron, k * sizeof(int32_t));
        memcpy(n->group_layer, n->layer, k * sizeof(int32_t));
        memmove(n->neuron, n->neuron + k, (all - k) * sizeof(int32_t));
        memmove(n->layer, n->layer + k, (all - k) * sizeof(int32_t));
        *pending = all - k;
        return k;
    }
    if (n->policy == RANDOM) {
        const uint64_t prefix = mix(seed_key + G * ((uint64_t)step + 1));
        for (int64_t i = 0; i < all; i++)
            n->key[i] = mix(prefix + G * (uint64_t)(n->start[n->layer[i]] + n->neuron[i] + 1));
    } else {
        for (int64_t i = 0; i < all; i++) { /* momenta exceed a positive threshold, so bits sort as values */
            uint32_t bits;
            memcpy(&bits, n->momentum + n->offset[n->layer[i]] + n->neuron[i], 4);
            n->key[i] = ~(uint64_t)bits;
        }
    }
    smallest(n, all, k);
    for (int64_t s = 0; s < k; s++) {
        const int32_t at = n->chosen[s];
        n->group[s] = n->neuron[at], n->group_layer[s] = n->layer[at];
        n->neuron[at] = -1;
    }
    int64_t kept = 0;
    for (int64_t i = 0; i < all; i++) {
        n->neuron[kept] = n->neuron[i], n->layer[kept] = n->layer[i];
        kept += n->neuron[i] >= 0;
    }
    *pending = kept;
    return k;
}

static void log_slots(Net *n, int32_t pass, int32_t step, int64_t slots, int64_t *counters) {
    for (int64_t s = 0; s < slots && counters[DELIVERED] + s < n->capacity; s++) {
        int32_t *slot = n->slots + 3 * (counters[DELIVERED] + s);
        slot[0] = pass, slot[1] = step;
        slot[2] = (int32_t)n->start[n->group_layer[s]] + n->group[s];
    }
    counters[DELIVERED] += slots;
}

/* The group's targets integrate and fire, in the order of layers. */
static void deliver(Net *n, int64_t slots, int32_t pass, int32_t step, int64_t serial,
                    int64_t *pending, int64_t *counters) {
    memset(n->arrived, 0, n->layers * sizeof(int32_t));
    for (int64_t s = 0; s < slots; s++) {
        const int64_t l = n->group_layer[s] + 1;
        if (l == n->layers) continue;
        n->arrived[l] = n->reached[l] = 1;
        counters[SYNOPS] += n->size[l];
    }
    for (int64_t l = 1; l < n->layers; l++) {
        if (!n->arrived[l]) continue;
        gather(n, l, slots, NULL);
        fire(n, l, 0, pass, step, serial, pending, counters);
    }
}

/* Write the pass's input as one group, in ascending index; return its slots. */
static int64_t group_input(Net *n, const int64_t *index, int64_t events, int64_t *counters) {
    int64_t slots = 0;
    for (int64_t e = 0; e < events; e++) {
        uint64_t *word = n->present + index[e] / 64, bit = 1ull << (index[e] % 64);
        n->times[index[e]] = *word & bit ? n->times[index[e]] + 1.0f : 1.0f;
        *word |= bit;
    }
    for (int64_t w = 0; w <= n->inputs / 64; w++) {
        for (uint64_t bits = n->present[w]; bits; bits &= bits - 1) {
            n->group[slots] = (int32_t)(64 * w) + __builtin_ctzll(bits);
            n->group_layer[slots++] = -1;
        }
        n->present[w] = 0;
    }
    counters[SYNOPS] += events * n->size[0];
    return slots;
}

/* Layer-sync: each layer in turn is evaluated as a whole, and its spikes are the next group. */
static void take_turns(Net *n, int64_t slots, int32_t pass, int64_t *serial, int64_t *pending,
                       int64_t *counters) {
    int32_t step = 0;
    for (int64_t l = 0; l < n->layers; l++) {
        if (slots) gather(n, l, slots, l ? NULL : n->times);
        /* A layer that nothing reached fires what a subtracting reset left above threshold. */
        if (slots || n->subtract) fire(n, l, !slots, pass, step, *serial, pending, counters);
        slots = *pending;
        if (!slots) continue;
        counters[STEPS]++, step++, (*serial)++;
        counters[ROUNDS] += (slots + n->group_size - 1) / n->group_size;
        choose(n, 0, step, pending);
        log_slots(n, pass, step, slots, counters);
        if (l + 1 < n->layers) counters[SYNOPS] += slots * n->size[l + 1];
    }
}

/* First layer that nothing reached with a neuron above threshold, or -1. */
static int64_t late_layer(const Net *n) {
    if (!n->subtract) return -1;
    for (int64_t l = 0; l < n->layers; l++) {
        if (n->reached[l]) continue;
        for (int64_t i = 0; i < n->size[l]; i++)
            if (n->v[n->offset[l] + i] > n->threshold[l]) return l;
    }
    return -1;
}

static int64_t leader(const Net *n) {
    int64_t best = -1;
    for (int64_t c = 0; c < n->size[n->layers - 1]; c++) {
        if (!n->votes[c]) continue;
        const int ties = best >= 0 && n->votes[c] == n->votes[best];
        if (best < 0 || n->votes[c] > n->votes[best] || (ties && n->latest[c] < n->latest[best]))
            best = c;
    }
    return best;
}

/* The first layer integrates the pass's input and fires. */
static void deliver_input(Net *n, int64_t slots, int64_t events, int32_t pass, int64_t serial,
                          int64_t *pending, int64_t *counters) {
    (void)events;
    gather(n, 0, slots, n->times);
    fire(n, 0, 0, pass, 0, serial, pending, counters);
}

/* The functions in which the plain and the vectorised loop differ. */
typedef struct {
    void (*deliver_input)(Net *n, int64_t slots, int64_t events, int32_t pass, int64_t serial,
                          int64_t *pending, int64_t *counters);
    int64_t (*choose)(Net *n, uint64_t seed_key, int32_t step, int64_t *pending);
    void (*deliver)(Net *n, int64_t slots, int32_t pass, int32_t step, int64_t serial,
                    int64_t *pending, int64_t *counters);
} Loop;

/* Decide on one sample from rest, until quiet; write counters[COUNTERS]. It is inlined, so that the
 * functions of a loop are known when it is compiled. */
static inline __attribute__((always_inline)) void decide_with(Loop loop, Net *n,
                                                              const int64_t *t_us,
                                                              const int64_t *index, int64_t events,
                                                              uint64_t seed, int64_t *counters) {
    const int64_t last = n->layers - 1, padded = n->offset[last] + n->stride[last];
    int64_t pending = 0, read = 0, serial = 0;
    const int64_t passes = events ? t_us[events - 1] / n->timestep_us + 1 : 0;
    const uint64_t seeded = mix(seed + G);
    memset(counters, 0, COUNTERS * sizeof(int64_t));
    memset(n->v, 0, padded * sizeof(float));
    memset(n->votes, 0, n->size[last] * sizeof(int64_t));
    for (int32_t pass = 0; pass < passes; pass++) {
        if (pass)
            for (int64_t l = 0; l < n->layers; l++)
                for (int64_t i = 0; i < n->stride[l]; i++) n->v[n->offset[l] + i] *= n->decay[l];
        memset(n->refractory, 0, padded * sizeof(int32_t));
        memset(n->reached, 0, n->layers * sizeof(int32_t));
        const uint64_t seed_key = mix(seeded + G * ((uint64_t)pass + 1));
        const int64_t first = read, end = (pass + 1) * n->timestep_us;
        while (read < events && t_us[read] < end) read++;
        const int64_t inputs = group_input(n, index + first, read - first, counters);
        serial++;
        if (n->policy == LAYER_SYNC) {
            take_turns(n, inputs, pass, &serial, &pending, counters);
            continue;
        }
        if (inputs) {
            n->reached[0] = 1;
            loop.deliver_input(n, inputs, read - first, pass, serial, &pending, counters);
        }
        for (int32_t step = 1;; step++) {
            int64_t late = -1;
            if (!pending && (late = late_layer(n)) < 0) break;
            counters[STEPS]++, serial++;
            if (late >= 0) {
                n->reached[late] = 1;
                fire(n, late, 1, pass, step, serial, &pending, counters);
                continue;
            }
            const int64_t slots = loop.choose(n, seed_key, step, &pending);
            counters[ROUNDS] += (slots + n->group_size - 1) / n->group_size;
            log_slots(n, pass, step, slots, counters);
            loop.deliver(n, slots, pass, step, serial, &pending, counters);
        }
    }
    counters[LABEL] = leader(n);
}

void decide(Net *n, const int64_t *t_us, const int64_t *index, int64_t events, uint64_t seed,
            int64_t *counters) {
    const Loop plain = {deliver_input, choose, deliver};
    decide_with(plain, n, t_us, index, events, seed, counters);
}
