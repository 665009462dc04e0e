/* The C baseline with vectors: the same spikes, faster, as a bound of what an engine can reach.
 *
 * It differs from c_baseline.c in the random order only, which the comparison uses: up to 64 pending
 * spikes are ordered by rank, without a branch that depends on a key, and the rows of each layer are
 * listed before they are added. It calls the plain loop for everything else.
 */
#include "c_baseline.c"
#if defined(__AVX512DQ__)
#include <immintrin.h>
#endif

#define MAX_RANKED 64

static inline uint32_t bits_of(i32v lanes) {
#if defined(__AVX512DQ__)
    return _mm512_movepi32_mask((__m512i)lanes);
#else
    return bits_of_lanes(lanes);
#endif
}

/* Sum rows of weights into the current of layer l, in slot order. */
static inline void add_rows(Net *n, int64_t l, const int32_t *rows, int64_t count) {
    const int64_t stride = n->stride[l];
    float *current = n->current + n->offset[l];
    int64_t at = 0;
    for (; at + 4 * LANES <= stride; at += 4 * LANES) {
        f32v a = {0}, b = {0}, c = {0}, d = {0};
        for (int64_t s = 0; s < count; s++) {
            const f32v *row = (const f32v *)(n->weight[l] + rows[s] * stride + at);
            a += row[0], b += row[1], c += row[2], d += row[3];
        }
        f32v *sums = (f32v *)(current + at);
        sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
    }
    for (; at < stride; at += LANES) {
        f32v sum = {0};
        for (int64_t s = 0; s < count; s++)
            sum += *(const f32v *)(n->weight[l] + rows[s] * stride + at);
        *(f32v *)(current + at) = sum;
    }
}

static void fire_lanes(Net *n, int64_t l, int32_t pass, int32_t step, int64_t serial,
                       int64_t *pending, int64_t *counters) {
    fire_with(bits_of, 1, n, l, 0, pass, step, serial, pending, counters);
}

/* Move the spikes that go next from the pending set to the group, as `choose` does. */
static int64_t choose_by_rank(Net *n, uint64_t seed_key, int32_t step, int64_t *pending) {
    const int64_t all = *pending, k = all < n->group_size ? all : n->group_size;
    if (all > MAX_RANKED) return choose(n, seed_key, step, pending);
    const uint64_t prefix = mix(seed_key + G * ((uint64_t)step + 1));
    int32_t key[MAX_RANKED] __attribute__((aligned(64)));
    int32_t rank[MAX_RANKED] __attribute__((aligned(64)));
    int32_t neuron[MAX_RANKED], layer[MAX_RANKED];
    int64_t id[MAX_RANKED];
    const int64_t wide = (all + LANES - 1) / LANES * LANES;
    for (int64_t i = 0; i < all; i++) id[i] = n->start[n->layer[i]] + n->neuron[i] + 1;
    for (int64_t i = all; i < wide; i++) id[i] = 0;
    for (int64_t at = 0; at < wide; at += LANES)
        for (int64_t i = at; i < at + LANES; i++)
            key[i] = (int32_t)((mix(prefix + G * (uint64_t)id[i]) >> 32) ^ 0x80000000u);
    int64_t total = 0;
    for (int64_t at = 0; at < wide; at += LANES) {
        const i32v mine = *(i32v *)(key + at);
        i32v smaller = {0};
        for (int64_t j = 0; j < all; j++) smaller -= (key[j] - (i32v){0}) < mine;
        *(i32v *)(rank + at) = smaller;
    }
    for (int64_t i = 0; i < all; i++) total += rank[i];
    if (total != all * (all - 1) / 2) return choose(n, seed_key, step, pending); /* equal halves */
    for (int64_t i = 0; i < all; i++)
        neuron[rank[i]] = n->neuron[i], layer[rank[i]] = n->layer[i];
    memcpy(n->group, neuron, k * sizeof(int32_t));
    memcpy(n->group_layer, layer, k * sizeof(int32_t));
    memcpy(n->neuron, neuron + k, (all - k) * sizeof(int32_t));
    memcpy(n->layer, layer + k, (all - k) * sizeof(int32_t));
    *pending = all - k;
    return k;
}

/* The group's targets integrate and fire, in the order of layers. */
static void deliver_by_layer(Net *n, int64_t slots, int32_t pass, int32_t step, int64_t serial,
                             int64_t *pending, int64_t *counters) {
    for (int64_t l = 1; l < n->layers; l++) {
        int64_t count = 0;
        for (int64_t s = 0; s < slots; s++) {
            n->chosen[count] = n->group[s];
            count += n->group_layer[s] == l - 1;
        }
        if (!count) continue;
        n->reached[l] = 1;
        counters[SYNOPS] += count * n->size[l];
        add_rows(n, l, n->chosen, count);
        fire_lanes(n, l, pass, step, serial, pending, counters);
    }
}

/* The first layer integrates the pass's input and fires, as in `deliver_input`. */
static void deliver_input_rows(Net *n, int64_t slots, int64_t events, int32_t pass, int64_t serial,
                               int64_t *pending, int64_t *counters) {
    if (slots == events)
        add_rows(n, 0, n->group, slots); /* no input has several events */
    else
        gather(n, 0, slots, n->times);
    fire_lanes(n, 0, pass, 0, serial, pending, counters);
}

void decide_vectorised(Net *n, const int64_t *t_us, const int64_t *index, int64_t events,
                       uint64_t seed, int64_t *counters) {
    const Loop vectorised = {deliver_input_rows, choose_by_rank, deliver_by_layer};
    if (n->policy == RANDOM)
        decide_with(vectorised, n, t_us, index, events, seed, counters);
    else
        decide(n, t_us, index, events, seed, counters);
}
